package lattice

import (
	"bytes"
	"testing"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// What Decode takes is written as the same bytes, obeys the laws, and takes every op of its type.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds() {
		b, err := s.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(bytes.Clone(b))
		if err != nil {
			return
		}
		mustBe(t, s, b, "decoded and encoded")
		twice, err := s.Join(s)
		if err != nil {
			t.Fatal(err)
		}
		mustBe(t, twice, b, "joined with itself")
		bottom, err := zeroState(s.Type()).Join(s)
		if err != nil {
			t.Fatal(err)
		}
		mustBe(t, bottom, b, "joined with the least state")
		if s.Size() < 0 {
			t.Fatalf("%d bytes", s.Size())
		}
		s.Read()
		for _, op := range seedOps() {
			if op.Kind.On() != s.Type() {
				continue
			}
			after, err := Apply(s, op, By{Actor: 1 << 40, Stamp: hlc.Stamp{Time: 1 << 60}})
			if err != nil {
				continue // a field of another type, a counter or a max at its end
			}
			enc, err := after.Append(nil)
			if err != nil {
				t.Fatalf("%s: %v", show(op), err)
			}
			up, err := s.Join(after)
			if err != nil {
				t.Fatalf("%s: %v", show(op), err)
			}
			mustBe(t, up, enc, "below what came of "+show(op))
			if _, err := Decode(enc); err != nil {
				t.Fatalf("after %s it cannot be read: %v", show(op), err)
			}
		}
	})
}

func mustBe(t *testing.T, s State, want []byte, what string) {
	t.Helper()
	b, err := s.Append(nil)
	if err != nil || !bytes.Equal(b, want) {
		t.Fatalf("%s it is %x, %v; want %x", what, b, err, want)
	}
}

func FuzzDecodeOp(f *testing.F) {
	for _, op := range seedOps() {
		b, err := AppendOp(nil, op)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		op, err := DecodeOp(bytes.Clone(b))
		if err != nil {
			return
		}
		again, err := AppendOp(nil, op)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
		s, err := Apply(nil, op, By{Actor: 1})
		if err != nil {
			t.Fatalf("%s was read and cannot be applied: %v", show(op), err)
		}
		enc, err := s.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(enc); err != nil {
			t.Fatalf("what %s makes cannot be read: %v", show(op), err)
		}
	})
}

func FuzzDecodeHead(f *testing.F) {
	for _, s := range seeds() {
		if m, ok := s.(MultiValue); ok {
			b, err := m.AppendHead(nil)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeHead(bytes.Clone(b))
		if err != nil {
			return
		}
		if again, err := m.AppendHead(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
	})
}

func FuzzDecodeWindow(f *testing.F) {
	f.Add(Window{}.Append(nil))
	f.Add(Window{}.With(OpID{1}).With(OpID{2}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := DecodeWindow(bytes.Clone(b))
		if err != nil {
			return
		}
		if again := w.Append(nil); !bytes.Equal(again, b) || w.Len() > MaxWindow {
			t.Fatalf("%x is written as %x", b, again)
		}
		if !equalWindows(w, w.Join(w)) || !w.With(OpID{9}).Has(OpID{9}) {
			t.Fatalf("%x is no window", b)
		}
	})
}

func FuzzParseOp(f *testing.F) {
	f.Add("field", "f", "add", "1")
	f.Add("insert", "x", "", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		for _, words := range [][]string{{a}, {a, b}, {a, b, c}, {a, b, c, d}} {
			op, err := ParseOp(words...)
			if err != nil {
				continue
			}
			enc, err := AppendOp(nil, op)
			if err != nil {
				t.Fatalf("%q was read and cannot be written: %v", words, err)
			}
			if _, err := DecodeOp(enc); err != nil {
				t.Fatalf("%q was written and cannot be read: %v", words, err)
			}
		}
	})
}

func seedOps() []Op {
	one := value.MustOf(1)
	return []Op{
		{Kind: Assign, Arg: value.MustOf("x")}, {Kind: Assign},
		{Kind: Add, Arg: one}, {Kind: Add, Arg: value.MustOf(-300)},
		{Kind: Insert, Arg: value.MustOf([]any{1, "y"})}, {Kind: Remove, Arg: value.MustOf("x")}, {Kind: GrowInsert, Arg: value.MustOf([]byte{1})},
		{Kind: Raise, Arg: value.MustOf(1.5)}, {Kind: Lower, Arg: value.MustOf("low")}, {Kind: AssignMulti, Arg: one},
		{Kind: RemoveField, Field: "f"}, {Kind: Field, Field: "f", Inner: &Op{Kind: Add, Arg: one}},
		{Kind: Field, Field: "g", Inner: &Op{Kind: Field, Field: "é", Inner: &Op{Kind: Raise, Arg: value.MustOf("t")}}},
		{Kind: Field, Field: "s", Inner: &Op{Kind: Insert, Arg: one}}, {Kind: Field, Field: "m", Inner: &Op{Kind: AssignMulti, Arg: one}},
		{Kind: Field, Field: "r", Inner: &Op{Kind: Assign, Arg: one}},
	}
}

// seeds are a state of each type after all ops that it takes, by two actors who did not know of each other.
func seeds() []State {
	var out []State
	for _, on := range types {
		states := [2]State{zeroState(on), zeroState(on)}
		for i := range states {
			for k, op := range seedOps() {
				if op.Kind.On() != on {
					continue
				}
				next, err := Apply(states[i], op, By{Actor: uint64(i + 1), Stamp: hlc.Stamp{Time: uint64(k), Node: uint64(i)}})
				if err != nil {
					panic(err)
				}
				states[i] = next
			}
		}
		joined, err := states[0].Join(states[1])
		if err != nil {
			panic(err)
		}
		out = append(out, zeroState(on), states[0], joined)
	}
	return out
}
