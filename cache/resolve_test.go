package cache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func TestResolve(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	const refs = 40
	args := []value.Value{value.MustOf("plain")}
	for i := range refs {
		key := fmt.Sprint("k", i)
		put(t, s, kvs.Key(key), i)
		args = append(args, value.MustOf(value.Ref(key)), value.MustOf(i))
		if i%3 == 0 {
			wantInt(t, c, kvs.Key(key), i)
		}
	}
	args = append(args, value.MustOf(value.Ref("k0")))
	out, err := c.Resolve(t.Context(), args)
	if err != nil {
		t.Fatal(err)
	}
	for i := range refs {
		for _, at := range []int{1 + 2*i, 2 + 2*i} {
			if got, err := value.As[int](out[at]); err != nil || got != i {
				t.Fatalf("argument %d is %d, %v", at, got, err)
			}
		}
	}
	if _, still := args[1].Ref(); !still || out[0].Kind() != value.Text {
		t.Fatal("Resolve wrote to its arguments")
	}
	if _, err := c.Resolve(t.Context(), args[:2]); err != nil {
		t.Fatal(err)
	}
}

func TestResolveWithoutReferences(t *testing.T) {
	c := start(t, newStage(t), 0)
	args := []value.Value{value.MustOf(1), value.MustOf("two"), {}}
	if n := testing.AllocsPerRun(100, func() {
		out, err := c.Resolve(t.Context(), args)
		if err != nil || &out[0] != &args[0] {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestResolveMissing(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "here", 1)
	for _, others := range []int{0, 1, 30} {
		args := []value.Value{value.MustOf(0)}
		for range others {
			args = append(args, value.MustOf(value.Ref("here")))
		}
		args = append(args, value.MustOf(value.Ref("not here")))
		_, err := c.Resolve(t.Context(), args)
		wantCode(t, err, fault.NotFound)
		if want := fmt.Sprintf("argument %d refers to key \"not here\"", len(args)); !strings.Contains(err.Error(), want) {
			t.Fatalf("%q does not say %q", err, want)
		}
	}
	_, err := c.Resolve(t.Context(), []value.Value{value.MustOf(value.Ref(""))})
	wantCode(t, err, fault.InvalidKey)
	s.refuse.Store(true)
	_, err = c.Resolve(t.Context(), []value.Value{value.MustOf(value.Ref("x"))})
	wantCode(t, err, fault.Unavailable)
	if !strings.Contains(err.Error(), `argument 1 refers to key "x": the stage is dark`) {
		t.Fatal(err)
	}
}
