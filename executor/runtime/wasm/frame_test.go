package wasm

import (
	"bytes"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

func TestFailureRoundTrip(t *testing.T) {
	want := &fault.Error{Code: fault.Overloaded, Message: "m", Detail: "d", Node: "n", Function: "f", Executor: "e", RetryAfter: 5, Final: true}
	got, ok := parseFailure(append(appendFailure(nil, want), "of a later version"...))
	if !ok || *got != *want {
		t.Errorf("gave %+v, %v; want %+v", got, ok, want)
	}
	got, ok = parseFailure(appendFailure(nil, &fault.Error{Code: "not_yet_invented", Message: "m"}))
	if !ok || got.Code != fault.FunctionError {
		t.Errorf("an unknown code gives %+v, %v", got, ok)
	}
}

func TestArgsFrame(t *testing.T) {
	args := []value.Value{value.MustOf(7), value.MustOf([]byte{1, 2, 3}), value.MustOf("text"), {}}
	f, err := newArgsFrame(args)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, f.size)
	f.write(b)
	got, err := parseValues(b)
	if err != nil || len(got) != len(args) {
		t.Fatalf("gave %d values, %v", len(got), err)
	}
	for i := range args {
		want, _ := args[i].Wire()
		if have, _ := got[i].Wire(); !bytes.Equal(have, want) {
			t.Errorf("value %d is %x, want %x", i, have, want)
		}
	}
}

// FuzzGuestFrames: whatever a guest sends, the host neither fails nor believes a count that the bytes do not bear out.
func FuzzGuestFrames(f *testing.F) {
	named, err := appendNamed(nil, map[string]value.Value{"a": value.MustOf(1)})
	if err != nil {
		f.Fatal(err)
	}
	frame, err := newArgsFrame([]value.Value{value.MustOf(7), value.MustOf("x")})
	if err != nil {
		f.Fatal(err)
	}
	args := make([]byte, frame.size)
	frame.write(args)
	f.Add(appendFailure(nil, &fault.Error{Code: fault.NotFound, Message: "m"}))
	f.Add(named)
	f.Add(args)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := parseFailure(b); ok && !e.Code.Known() {
			t.Errorf("a failure has the unknown code %q", e.Code)
		}
		if vs, err := parseValues(b); err == nil && len(vs)*5 > len(b) {
			t.Errorf("%d bytes gave %d values", len(b), len(vs))
		}
		if vs, err := parseNamed(b); err == nil {
			again, err := appendNamed(nil, vs)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := parseNamed(again); err != nil || len(back) != len(vs) {
				t.Errorf("%d named values came back as %d, %v", len(vs), len(back), err)
			}
		}
		if texts, ok := parseTexts(b); ok && len(texts)*4 > len(b) {
			t.Errorf("%d bytes gave %d texts", len(b), len(texts))
		}
	})
}
