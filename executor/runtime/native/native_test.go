package native_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/executor/runtime/runtimetest/testdata/functions"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

func TestConformance(t *testing.T) {
	r := native.New()
	runtimetest.Run(t, runtimetest.Harness{
		Kind: runtime.Native,
		Load: func(t *testing.T, name string, _ runtime.Limits) runtime.Callable {
			spec, err := r.Add(name, functions.Table[name])
			if err != nil {
				t.Fatal(err)
			}
			f, err := r.Load(t.Context(), spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			})
			return f
		},
	})
}

func add(_ fn.Context, a, b int) (int, error) { return a + b, nil }

func TestVersions(t *testing.T) {
	r := native.New()
	changes := 0
	r.OnChange(func() { changes++ })
	one, err := r.Add("f", fn.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }))
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Add("f", fn.Native(func(_ fn.Context, x int) (int, error) { return x + 2, nil }))
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.Add("e", fn.Effect(func(fn.Context, []byte) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	if one.Version == two.Version || !strings.HasSuffix(one.Version, "-f-1") || !strings.HasSuffix(two.Version, "-f-2") {
		t.Errorf("versions are %q and %q", one.Version, two.Version)
	}
	if again, err := native.New().Add("f", fn.Native2(add)); err != nil || again.Version != one.Version {
		t.Errorf("another registry of the same executable says %q, %v; want %q", again.Version, err, one.Version)
	}
	if changes != 3 {
		t.Errorf("heard of %d changes, want 3", changes)
	}
	if got := strings.Join(two.In, ",") + "→" + two.Out; got != "int→int" {
		t.Errorf("types are %s", got)
	}
	if got := strings.Join(other.In, ",") + "→" + other.Out; got != "bytes→null" {
		t.Errorf("types are %s", got)
	}
	var names []string
	for _, s := range r.Functions() {
		names = append(names, s.Version[len(s.Version)-3:])
	}
	if got := strings.Join(names, " "); got != "e-1 f-1 f-2" {
		t.Errorf("functions are %s", got)
	}
	// The old version goes on after the name has been registered again.
	for spec, want := range map[string]int{one.Version: 11, two.Version: 12} {
		f, err := r.Load(t.Context(), runtime.Spec{Name: "f", Version: spec}, nil)
		if err != nil {
			t.Fatal(err)
		}
		v, err := f.Invoke(runtimetest.NewContext(t.Context()), []value.Value{value.MustOf(10)})
		if n, _ := value.As[int](v); err != nil || n != want {
			t.Errorf("%s(10) = %d, %v; want %d", spec, n, err, want)
		}
	}
	if _, err := r.Load(t.Context(), runtime.Spec{Name: "f", Version: "other"}, nil); !fault.Is(err, fault.UnknownFunction) {
		t.Errorf("an unknown version gives %v", err)
	}
}

func TestAddRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		impl fn.Impl
		code fault.Code
	}{
		{"a.b", fn.Native2(add), fault.InvalidName},
		{"", fn.Native2(add), fault.InvalidName},
		{"f", fn.Impl{}, fault.InvalidArgument},
		{"f", fn.Native(func(_ fn.Context, c chan int) (int, error) { return 0, nil }), fault.WrongType},
		{"f", fn.Native(func(_ fn.Context, c int) (func(), error) { return nil, nil }), fault.WrongType},
	} {
		if _, err := native.New().Add(tc.name, tc.impl); !fault.Is(err, tc.code) {
			t.Errorf("Add(%q) gives %v, want %s", tc.name, err, tc.code)
		}
	}
}

// observer is a Context that hears of Goexit.
type observer struct {
	*runtimetest.Context
	heard chan *fault.Error
}

func (o observer) Goexited(err *fault.Error) { o.heard <- err }

func TestGoexit(t *testing.T) {
	r := native.New()
	spec, err := r.Add("goexit", functions.Table["goexit"])
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Load(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := observer{runtimetest.NewContext(t.Context()), make(chan *fault.Error, 1)}
	go func() {
		_, _ = f.Invoke(o, nil)
		t.Error("Invoke returned although its goroutine has ended")
	}()
	select {
	case err := <-o.heard:
		if err.Code != fault.FunctionExited {
			t.Errorf("heard %v, want function_exited", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody heard that the function ended its goroutine")
	}
}

func TestPanicWithError(t *testing.T) {
	r := native.New()
	spec, err := r.Add("f", fn.Native0(func(fn.Context) (int, error) { panic(errors.New("as an error")) }))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Load(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Invoke(runtimetest.NewContext(context.Background()), nil)
	if !fault.Is(err, fault.FunctionPanic) || !strings.Contains(err.Error(), "as an error") {
		t.Errorf("gave %v", err)
	}
}

func BenchmarkInvoke(b *testing.B) {
	r := native.New()
	spec, err := r.Add("add", fn.Native2(add))
	if err != nil {
		b.Fatal(err)
	}
	f, err := r.Load(b.Context(), spec, nil)
	if err != nil {
		b.Fatal(err)
	}
	impl := fn.Native2(add)
	c := runtimetest.NewContext(b.Context())
	args := []value.Value{value.MustOf(1), value.MustOf(2)}
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := impl.Invoke(c, args); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("callable", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Invoke(c, args); err != nil {
				b.Fatal(err)
			}
		}
	})
}
