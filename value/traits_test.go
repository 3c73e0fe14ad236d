package value

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/squall-faas/squall/fault"
)

type tree struct {
	Left, Right *tree
	Vals        []any
}

type loop struct{ *loop }

type locked struct {
	sync.Mutex
	N int
}

func TestEncodable(t *testing.T) {
	for _, x := range []any{
		1, "", []byte{}, true, 1.5, tree{}, &tree{}, map[string]tree{}, map[int]string{}, map[Ref]int{}, []any{}, path{}, holder{},
		time.Time{}, uuid.UUID{}, locked{}, [3]int{}, struct{}{}, Value{}, []Value{}, map[any]any{}, struct{ T time.Time }{},
	} {
		if err := Encodable(reflect.TypeOf(x)); err != nil {
			t.Errorf("%T: %v", x, err)
		}
	}
	for _, c := range []struct {
		x    any
		part string
	}{
		{make(chan int), "chan"},
		{func() {}, "func"},
		{complex(1, 2), "complex128"},
		{uintptr(1), "uintptr"},
		{[]chan int{}, "[]: a chan"},
		{map[string]func(){}, "func"},
		{map[float64]int{}, "keys"},
		{map[point]int{}, "keys"},
		{struct{ A struct{ B []chan int } }{}, "A.B[]: a chan"},
		{struct{ E error }{}, "E: an interface"},
		{struct{ a int }{}, "exported"},
		{struct{ M sync.Mutex }{}, "M: it has no exported"},
		{loop{}, ""},
	} {
		err := Encodable(reflect.TypeOf(c.x))
		if c.part == "" {
			continue // it must only end
		}
		if !fault.Is(err, fault.WrongType) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%T: got %v, want it to name %q", c.x, err, c.part)
		}
		if _, err := Of(c.x); !fault.Is(err, fault.WrongType) {
			t.Errorf("Of(%T): %v", c.x, err)
		}
	}
	if Encodable(nil) != nil {
		t.Error("nil is null")
	}
}

// A cycle must not overflow the stack, which no recover catches.
func TestCyclesAreRefused(t *testing.T) {
	self := &tree{}
	self.Right = self
	m := map[string]any{}
	m["m"] = []any{m}
	var p any
	p = &p
	for _, x := range []any{self, m, []any{p}, &tree{Vals: []any{self}}} {
		if _, err := Value.Wire(Value{kind: CBOR, live: x}); !fault.Is(err, fault.WrongType) {
			t.Errorf("%T: %v", x, err)
		}
	}
	deep := &tree{}
	for range 50 {
		deep = &tree{Left: deep}
	}
	got := as[tree](t, moved(t, MustOf(deep)))
	n := 0
	for at := &got; at.Left != nil; at = at.Left {
		n++
	}
	if n != 50 {
		t.Errorf("a tree 50 deep came back %d deep", n)
	}
}

func TestTypeName(t *testing.T) {
	for want, xs := range map[string][]any{
		"int": {1, int8(1), uint64(1), time.Second}, "float": {1.5, float32(1), celsius(1)}, "bool": {true}, "text": {""},
		"bytes": {[]byte{}, [3]byte{}}, "list": {[]int{}, [2]string{}, []Value{}, &[]int{}}, "map": {map[string]int{}},
		"struct": {point{}, &point{}}, "ref": {Ref("")}, "null": {nil, struct{}{}},
		"any": {Value{}, time.Time{}, uuid.UUID{}, new(int), make(chan int)},
	} {
		for _, x := range xs {
			if got := TypeName(reflect.TypeOf(x)); got != want {
				t.Errorf("%T is %s, want %s", x, got, want)
			}
		}
	}
	if got := TypeName(reflect.TypeFor[any]()); got != "any" {
		t.Errorf("any is %s", got)
	}
}

// Where a sample of one type decodes into another, Fits must not say no.
func TestFitsRefusesNothingThatDecodes(t *testing.T) {
	type triple struct {
		_       struct{} `cbor:",toarray"`
		A, B, C int
	}
	producers := []any{1, 1.5, true, "text", []byte("b"), []int{1, 2, 3}, []int{}, []any{}, map[string]any{}, point{}, triple{}, nil, [3]byte{}}
	consumers := []any{
		1, 1.5, true, "text", []byte("b"), []int{}, []string{}, []point{}, map[string]any{}, map[string]float64{}, point{}, triple{},
		[3]byte{}, time.Time{}, &point{}, new(int), Value{}, []any{}, Ref(""),
	}
	for _, p := range producers {
		for _, c := range consumers {
			dst := reflect.New(reflect.TypeOf(c))
			if err := moved(t, MustOf(p)).Into(dst.Interface()); err != nil {
				continue
			}
			if a, b := TypeName(reflect.TypeOf(p)), TypeName(reflect.TypeOf(c)); !Fits(a, b) {
				t.Errorf("%#v decodes into %T, but Fits(%s, %s) says no", p, c, a, b)
			}
		}
	}
	for _, c := range [][2]string{{"text", "int"}, {"float", "int"}, {"list", "map"}, {"bytes", "text"}, {"null", "int"}, {"map", "list"}} {
		if Fits(c[0], c[1]) {
			t.Errorf("Fits(%s, %s)", c[0], c[1])
		}
	}
	for _, c := range [][2]string{{"any", "int"}, {"", "int"}, {"int", "of a later release"}, {"ref", "int"}, {"int", "float"}} {
		if !Fits(c[0], c[1]) {
			t.Errorf("!Fits(%s, %s)", c[0], c[1])
		}
	}
}
