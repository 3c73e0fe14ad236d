package lattice

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

func TestOpsTravel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		op := drawOp(t, rapid.SampledFrom(types).Draw(t, "type"), 0, 3)
		b, err := AppendOp([]byte("before"), op)
		if err != nil {
			t.Fatalf("%s: %v", show(op), err)
		}
		b = bytes.TrimPrefix(b, []byte("before"))
		back, err := DecodeOp(b)
		if err != nil || show(back) != show(op) || back.species() != op.species() {
			t.Fatalf("%s came back as %s, %v", show(op), show(back), err)
		}
		again, err := AppendOp(nil, back)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("%x and then %x, %v", b, again, err)
		}
		for i := range b {
			if got, err := DecodeOp(b[:i]); err == nil {
				t.Fatalf("%x cut to %d bytes is read as %s", b, i, show(got))
			}
		}
	})
}

// An op may be a field of somebody's record.
func TestOpInsideAStruct(t *testing.T) {
	type record struct {
		Key string `cbor:"1,keyasint"`
		Op  Op     `cbor:"2,keyasint"`
	}
	in := record{"k", Op{Kind: Field, Field: "f", Inner: &Op{Kind: Add, Arg: value.MustOf(1)}}}
	b, err := cbor.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out record
	if err := cbor.Unmarshal(b, &out); err != nil || show(out.Op) != show(in.Op) || out.Key != "k" {
		t.Errorf("%s came back as %s, %v", show(in.Op), show(out.Op), err)
	}
	if _, err := cbor.Marshal(record{"k", Op{}}); err == nil {
		t.Error("no op at all is written")
	}
}

// Every op is refused by every state of another type, in words that name both.
func TestWrongType(t *testing.T) {
	ops := map[OpKind]Op{}
	for k := Assign; k <= AssignMulti; k++ {
		op := Op{Kind: k, Arg: value.MustOf(1)}
		if k == Field || k == RemoveField {
			op = Op{Kind: k, Field: "f"}
		}
		if k == Field {
			op.Inner = &Op{Kind: Add, Arg: value.MustOf(1)}
		}
		ops[k] = op
	}
	for k, op := range ops {
		s, err := Apply(nil, op, By{Actor: 1})
		if err != nil || s.Type() != k.On() {
			t.Errorf("%s makes %v, %v", k, s, err)
			continue
		}
		for other, op := range ops {
			got, err := Apply(s, op, By{Actor: 1})
			if other.On() == k.On() {
				if err != nil {
					t.Errorf("%s after %s: %v", other, k, err)
				}
				continue
			}
			want := fmt.Sprintf("the key holds a %s, and %s wants a %s", s.Type(), other, other.On())
			if got != nil || !fault.Is(err, fault.WrongType) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s after %s: %v, %v", other, k, got, err)
			}
			o, err := Apply(nil, op, By{Actor: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Join(o); !fault.Is(err, fault.WrongType) {
				t.Errorf("a %s and a %s are joined: %v", s.Type(), o.Type(), err)
			}
		}
		if _, err := s.Join(nil); !fault.Is(err, fault.Internal) {
			t.Errorf("a %s is joined with nothing: %v", s.Type(), err)
		}
	}
}

func TestBadOps(t *testing.T) {
	one := value.MustOf(1)
	add := &Op{Kind: Add, Arg: one}
	deep := add
	for range maxDepth + 1 {
		deep = &Op{Kind: Field, Field: "f", Inner: deep}
	}
	for _, tc := range []struct {
		name string
		op   Op
		code fault.Code
	}{
		{"no kind", Op{}, fault.Unsupported},
		{"a later kind", Op{Kind: AssignMulti + 1, Arg: one}, fault.Unsupported},
		{"an add of text", Op{Kind: Add, Arg: value.MustOf("1")}, fault.WrongType},
		{"an add of a float", Op{Kind: Add, Arg: value.MustOf(1.0)}, fault.WrongType},
		{"an add of null", Op{Kind: Add}, fault.WrongType},
		{"an add of a bool", Op{Kind: Add, Arg: value.MustOf(true)}, fault.WrongType},
		{"an add beyond an int64", Op{Kind: Add, Arg: value.MustOf(uint64(1 << 63))}, fault.WrongType},
		{"an add of a list", Op{Kind: Add, Arg: value.MustOf([]int{1})}, fault.WrongType},
		{"an add to a field", Op{Kind: Add, Arg: one, Field: "f"}, fault.InvalidArgument},
		{"an insert with an inner op", Op{Kind: Insert, Arg: one, Inner: add}, fault.InvalidArgument},
		{"a field without an inner op", Op{Kind: Field, Field: "f"}, fault.InvalidArgument},
		{"a field with an argument", Op{Kind: Field, Field: "f", Arg: one, Inner: add}, fault.InvalidArgument},
		{"a field without a name", Op{Kind: Field, Inner: add}, fault.InvalidArgument},
		{"a field with a long name", Op{Kind: RemoveField, Field: strings.Repeat("f", MaxName+1)}, fault.InvalidArgument},
		{"a field that is not UTF-8", Op{Kind: RemoveField, Field: "\xff"}, fault.InvalidArgument},
		{"a removal with an inner op", Op{Kind: RemoveField, Field: "f", Inner: add}, fault.InvalidArgument},
		{"a bad inner op", Op{Kind: Field, Field: "f", Inner: &Op{Kind: Raise, Arg: value.MustOf(true)}}, fault.WrongType},
		{"too many levels", *deep, fault.InvalidArgument},
		{"what breaks off when it is encoded", Op{Kind: Assign, Arg: value.MustOf([]any{make(chan int)})}, fault.WrongType},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if s, err := Apply(nil, tc.op, By{}); s != nil || !fault.Is(err, tc.code) {
				t.Errorf("applied: %v, %v; want %s", s, err, tc.code)
			}
			if _, err := AppendOp(nil, tc.op); !fault.Is(err, tc.code) {
				t.Errorf("written: %v; want %s", err, tc.code)
			}
		})
	}
	ok := *deep.Inner // exactly as deep as may be
	s, err := Apply(nil, ok, By{Actor: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(b); err != nil {
		t.Errorf("the deepest map cannot be read: %v", err)
	}
	if b, err = AppendOp(nil, ok); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeOp(b); err != nil {
		t.Errorf("the deepest op cannot be read: %v", err)
	}
	// Live integers of every kind add up.
	for _, x := range []any{1, int64(1), int8(1), uint64(1), uint16(1)} {
		if s, err := Apply(nil, Op{Kind: Add, Arg: value.MustOf(x)}, By{}); err != nil || s.(Counter).Value() != 1 {
			t.Errorf("%T: %v, %v", x, s, err)
		}
	}
}

func TestParseOp(t *testing.T) {
	for words, want := range map[string]string{
		"add 3":                     "add 3",
		"add -1":                    "add -1",
		"ADD 3":                     "add 3",
		"insert x":                  `insert "x"`,
		"insert 3":                  "insert 3",
		`insert "3"`:                `insert "3"`,
		"remove x":                  `remove "x"`,
		"grow [1,2]":                "grow [1,2]",
		"max 7":                     "max 7",
		"min 7.5":                   "min 7.5",
		"max x":                     `max "x"`,
		"assign null":               "assign null",
		`assign {"a":1}`:            `assign {"a":1}`,
		"assign-multi true":         "assign-multi true",
		"field hits add 1":          "field hits add 1",
		"field a field b max 1":     "field a field b max 1",
		"field a remove-field b":    "field a remove-field bnull",
		"remove-field a":            "remove-field anull",
		"field field field x add 1": "field field field x add 1",
	} {
		op, err := ParseOp(strings.Fields(words)...)
		if err != nil || show(op) != want {
			t.Errorf("%s is %s, %v; want %s", words, show(op), err, want)
		}
	}
	if op, err := ParseOp("insert", "two words"); err != nil || show(op) != `insert "two words"` {
		t.Errorf("%s, %v", show(op), err)
	}
	for words, code := range map[string]fault.Code{
		"":                 fault.InvalidArgument,
		"sing 1":           fault.InvalidArgument,
		"add":              fault.InvalidArgument,
		"add 1 2":          fault.InvalidArgument,
		"add x":            fault.WrongType,
		"add 1.5":          fault.WrongType,
		"field":            fault.InvalidArgument,
		"field f":          fault.InvalidArgument,
		"field f sing 1":   fault.InvalidArgument,
		"field f add":      fault.InvalidArgument,
		"remove-field":     fault.InvalidArgument,
		"remove-field a b": fault.InvalidArgument,
		"max true":         fault.WrongType,
	} {
		if op, err := ParseOp(strings.Fields(words)...); !fault.Is(err, code) || op.Kind != 0 && err == nil {
			t.Errorf("%q is %s, %v; want %s", words, show(op), err, code)
		}
	}
	if _, err := ParseOp("field", "", "add", "1"); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a field without a name: %v", err)
	}
	if _, err := ParseOp(slices.Repeat([]string{"field", "f"}, 100)...); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("fields without end: %v", err)
	}
}

func TestNames(t *testing.T) {
	for k := Assign; k <= AssignMulti; k++ {
		if kindOf(k.String()) != k {
			t.Errorf("%d is called %s", k, k)
		}
	}
	if OpKind(0).String() != "unknown operation" || OpKind(99).On() != 0 || Type(99).String() != "unknown type" {
		t.Error("what is unknown has a name")
	}
	if got := speciesOfExtreme(TypeMax, value.MustOf("x")).String(); got != "max of text" {
		t.Errorf("%s", got)
	}
}
