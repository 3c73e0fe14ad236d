package xfer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
)

func TestCapability(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	soon := now.Add(time.Minute)
	other := NewSecret()
	good := testSecret.Mint("test", ref("v"), soon)
	edit := func(i int) Capability {
		c := append(Capability{}, good...)
		c[i] ^= 1
		return c
	}
	for _, tc := range []struct {
		name string
		c    Capability
		now  time.Time
		says string // "" where it is good
	}{
		{"right", good, now, ""},
		{"of the secret before", other.Mint("test", ref("v"), soon), now, ""},
		{"at the last moment", good, soon.Add(-time.Millisecond), ""},
		{"expired", good, soon, "expired at 2027-01-15T08:01:00Z"},
		{"none", nil, now, "0 bytes"},
		{"short", good[1:], now, "39 bytes"},
		{"long", append(append(Capability{}, good...), 0), now, "41 bytes"},
		{"later expiry", edit(7), now, "not for this value"},
		{"first bit of the code", edit(8), now, "not for this value"},
		{"last bit of the code", edit(39), now, "not for this value"},
		{"other key", testSecret.Mint("test", ref("w"), soon), now, "not for this value"},
		{"other version", testSecret.Mint("test", Ref{Key: "v", Version: "2"}, soon), now, "not for this value"},
		{"other namespace", testSecret.Mint("prod", ref("v"), soon), now, "not for this value"},
		{"parts moved", testSecret.Mint("testv", Ref{Key: "1"}, soon), now, "not for this value"},
		{"unknown secret", NewSecret().Mint("test", ref("v"), soon), now, "not for this value"},
	} {
		err := tc.c.check([]Secret{testSecret, other}, "test", ref("v"), tc.now)
		if tc.says == "" && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if tc.says != "" && (!fault.Is(err, fault.Unauthorized) || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v, want unauthorized that says %q", tc.name, err, tc.says)
		}
	}
}

func TestSecretIsHidden(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, testSecret); got != "(secret)" {
			t.Errorf("%s prints %s", format, got)
		}
	}
}
