package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if line := "member " + string(rune('1'+i)) + " found 10.75 degrees\n"; !strings.Contains(out.String(), line) {
			t.Errorf("no line %q", line)
		}
	}
	if !strings.HasSuffix(out.String(), "nobody is there to be greeted\n") {
		t.Errorf("got:\n%s", out.String())
	}
}
