package bench

import (
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
)

func TestFanoutQuick(t *testing.T) {
	r, err := Fanout{Options: Options{Quick: true, Only: []string{"fanout/16", "fanout/1000"}}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fanout/16", "fanout/1000"} {
		total, spread := r.Row(name, "total"), r.Row(name, "spread of starts")
		if total == nil || spread == nil || total.P50 < 1 || spread.P50 <= 0 || spread.P50 > total.P50 {
			t.Errorf("%s: total %+v, spread %+v", name, total, spread)
		}
	}
	if _, err := (Fanout{Options: Options{Quick: true}, Work: time.Hour}).Run(t.Context()); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
}
