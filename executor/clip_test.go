package executor

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/squall-faas/squall/fault"
)

// TestClip: what is short stays as it is, and of what is long the beginning and the end do.
func TestClip(t *testing.T) {
	e := fault.New(fault.FunctionError, "short")
	e.Detail = "first " + strings.Repeat("☂", 1<<20) + " last"
	c := e.With(clip)
	if c.Message != "short" || len(c.Detail) > mostWords+100 || !utf8.ValidString(c.Detail) {
		t.Errorf("%d bytes of message, %d of detail", len(c.Message), len(c.Detail))
	}
	for _, part := range []string{"first ☂", "☂ last", "bytes are left out"} {
		if !strings.Contains(c.Detail, part) {
			t.Errorf("no %q", part)
		}
	}
}
