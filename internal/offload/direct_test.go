package offload

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestChoose: which path a value takes, by what a plan wishes, its size and where it goes.
func TestChoose(t *testing.T) {
	const threshold = 10_000
	to := func(p Path) Terms { return Terms{To: "b", Path: p} }
	for _, c := range []struct {
		terms Terms
		size  int
		holds bool
		want  Path
	}{
		{to(Auto), 10, true, Inline},
		{to(Auto), threshold, true, Inline},
		{to(Auto), threshold + 1, true, Direct},
		{to(Auto), threshold + 1, false, Remote}, // nothing can be held here
		{Terms{}, threshold + 1, true, Remote},   // to a client
		{Terms{Path: Direct}, threshold + 1, true, Remote},
		{Terms{Path: Direct}, threshold, true, Inline},
		{to(Inline), threshold, true, Inline},
		{to(Inline), threshold + 1, true, Direct}, // larger than the plan believed
		{to(Direct), worthwhile, true, Direct},
		{to(Direct), worthwhile - 1, true, Inline}, // smaller
		{to(Direct), threshold, false, Inline},
		{to(Direct), threshold + 1, false, Remote},
		{to(Local), threshold, true, Direct},
		{to(Remote), threshold, true, Remote},
		{to(Remote), worthwhile - 1, true, Inline},
		{Terms{Path: Remote}, threshold, false, Remote},
	} {
		if got := choose(c.terms, c.size, threshold, c.holds); got != c.want {
			t.Errorf("%v to %q, %d bytes, holds %v: %v, want %v", c.terms.Path, c.terms.To, c.size, c.holds, got, c.want)
		}
	}
	for p, name := range map[Path]string{Auto: "auto", Inline: "inline", Local: "local", Direct: "direct", Remote: "remote"} {
		if p.String() != name {
			t.Errorf("%d is %q", p, p.String())
		}
	}
}

// TestDirect: values of all sizes and kinds go from executor to executor past the store, for as long as their run lasts.
func TestDirect(t *testing.T) {
	store := newCounted(t)
	type seen struct {
		from  string
		bytes int64
	}
	var links []seen
	a := newSite(t, siteConfig{name: "a", store: store})
	b := newSite(t, siteConfig{name: "b", store: store, edit: func(c *Config) {
		c.Observed = func(from string, bytes int64, took time.Duration) {
			if took <= 0 {
				t.Errorf("it took %v", took)
			}
			links = append(links, seen{from, bytes})
		}
	}})
	var want []seen
	floats := make([]float64, 100_000)
	for i := range floats {
		floats[i] = float64(i)
	}
	for _, v := range []value.Value{sized(DefaultThreshold), sized(1<<20 + 1), sized(5 << 20), value.MustOf(strings.Repeat("é", 1<<20)), value.MustOf(floats), value.MustOf(map[string][]byte{"x": make([]byte, 1<<20)})} {
		m := a.gives(t, "b", v)
		if m.Len() != 1+int(m.Held.Size) || !m.Away() {
			t.Errorf("%+v has %d bytes", m.Held, m.Len())
		}
		b.takes(t, m, v)
		want = append(want, seen{"a", m.Held.Size})
	}
	if !slices.Equal(links, want) {
		t.Errorf("seen of the link: %v, want %v", links, want)
	}
	got, err := b.In(t.Context(), a.gives(t, "b", value.MustOf(floats)))
	if err != nil {
		t.Fatal(err)
	}
	if x, err := value.As[[]float64](got); err != nil || !slices.Equal(x, floats) {
		t.Errorf("an array comes as %d numbers, %v", len(x), err)
	}
	if store.puts.Load() != 0 {
		t.Errorf("%d puts to the store", store.puts.Load())
	}
	m := a.gives(t, "b", sized(3<<20))
	if s := a.hold.Stats(); s.Values == 0 || s.Bytes < 3<<20 || !a.hold.Holds() {
		t.Errorf("%+v", s)
	}
	a.hold.Release("another run")
	b.takes(t, m, sized(3<<20))
	runtime.GC() // what b had pulled
	runtime.GC()
	a.hold.Release("run")
	if s := a.hold.Stats(); s != (HoldStats{}) || a.hold.Holds() {
		t.Errorf("after the run: %+v", s)
	}
	_, err = b.In(t.Context(), m)
	wantCode(t, err, fault.Unavailable)
	if !strings.Contains(err.Error(), "executor a") || !strings.Contains(err.Error(), "make it anew") {
		t.Errorf("it says %q", err)
	}
}

// TestSeveral: of several values in one message the large ones leave it, each by its path.
func TestSeveral(t *testing.T) {
	a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b"})
	vs := []value.Value{sized(100), sized(1 << 20), sized(200_000), sized(190_000), sized(1)}
	out, err := a.Send(t.Context(), Terms{To: "b", Run: "r"}, vs...)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, m := range out {
		if m.Held != nil {
			held++
		}
	}
	if held != 2 || out[1].Held == nil || out[2].Held == nil {
		t.Errorf("%d are held: %+v", held, out)
	}
	got, err := b.InAll(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, vs)
	many := make([]value.Value, 2000)
	for i := range many {
		many[i] = sized(700)
	}
	_, err = a.Send(t.Context(), Terms{To: "b"}, many...)
	wantCode(t, err, fault.TooLarge)
}

// TestHeldOnce: the same bytes for several destinations are held, and summed, once; later references name the earlier
// destinations, which have the value by then.
func TestHeldOnce(t *testing.T) {
	data := bytes.Repeat([]byte("squall"), 1<<20)
	v := value.MustOf(data)
	a, b, c := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b"}), newSite(t, siteConfig{name: "c"})
	a.cfg.PortOf = func(name string) string {
		return map[string]string{"b": b.server.Addr(), "c": c.server.Addr()}[name]
	}
	first, second := a.gives(t, "b", v), a.gives(t, "c", v)
	if first.Held.ID != second.Held.ID || a.hold.Stats().Values != 1 {
		t.Errorf("%q and %q, %+v", first.Held.ID, second.Held.ID, a.hold.Stats())
	}
	if len(first.Held.Others) != 0 || !slices.Equal(second.Held.Others, []string{b.server.Addr()}) {
		t.Errorf("others: %v, then %v", first.Held.Others, second.Held.Others)
	}
	got, err := b.In(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	_ = a.server.Close() // now only b has it
	c.takes(t, second, v)
	runtime.KeepAlive(got)
	if n := b.server.Stats().Ranges; n == 0 {
		t.Error("b has served nothing")
	}
	other, err := a.Send(t.Context(), Terms{To: "b", Run: "another"}, v)
	if err != nil || other[0].Held.ID == first.Held.ID {
		t.Errorf("another run has the same reference, %v", err)
	}
	a.takes(t, second, v) // at home nothing is pulled
}

// TestNoRoom: past its bound a node holds nothing more; values go through the store then, also those that no client could
// take.
func TestNoRoom(t *testing.T) {
	store := newCounted(t)
	a, b := newSite(t, siteConfig{name: "a", store: store, bytes: 5 << 20}), newSite(t, siteConfig{name: "b", store: store})
	v1, v2 := sized(3<<20), sized(3<<20+1)
	first := a.gives(t, "b", v1)
	out, err := a.Send(t.Context(), Terms{To: "b", Run: "run", TTL: time.Minute}, v2)
	if err != nil || out[0].Far == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	b.takes(t, out[0], v2)
	b.takes(t, first, v1)
	a.hold.Release("run")
	b.takes(t, a.gives(t, "b", v2), v2)

	huge := value.MustOf(make([]byte, MaxValue+1))
	if _, err := a.Send(t.Context(), Terms{}, huge); !fault.Is(err, fault.TooLarge) {
		t.Errorf("to a client: %v", err)
	}
	out, err = a.Send(t.Context(), Terms{To: "b"}, huge)
	if err != nil || out[0].Far == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	b.takes(t, out[0], huge)
}

// TestOutOfReach: the way to a data port is closed, and its owner is well: it stores the value when asked, and the next one
// is not even dialled.
func TestOutOfReach(t *testing.T) {
	store := newCounted(t)
	var w way
	w.refuse.Store(true)
	a := newSite(t, siteConfig{name: "a", store: store})
	asked := 0
	b := newSite(t, siteConfig{name: "b", store: store, dial: w.dial, edit: func(c *Config) {
		c.AskStore = func(ctx context.Context, executor string, ref xfer.Ref) error {
			asked++
			if executor != "a" {
				t.Errorf("executor %q is asked", executor)
			}
			return a.Deposit(ctx, ref)
		}
	}})
	v := sized(1 << 20)
	b.takes(t, a.gives(t, "b", v), v)
	dials := w.dials.Load()
	b.takes(t, a.gives(t, "b", sized(2<<20)), sized(2<<20))
	if w.dials.Load() != dials || asked != 2 {
		t.Errorf("%d dials, then %d more; asked %d times", dials, w.dials.Load()-dials, asked)
	}
	m := a.gives(t, "b", sized(4<<20))
	a.hold.Release("run")
	_, err := b.In(t.Context(), m)
	wantCode(t, err, fault.Unavailable)
	if err := a.Deposit(t.Context(), xfer.Ref{Key: "x", Version: "y"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// TestEvacuate: what a node that leaves has stored is found under the references that it gave.
func TestEvacuate(t *testing.T) {
	store := newCounted(t)
	a, b := newSite(t, siteConfig{name: "a", store: store}), newSite(t, siteConfig{name: "b", store: store})
	one, two := a.gives(t, "b", sized(1<<20)), a.gives(t, "b", sized(2<<20))
	if n, err := a.Evacuate(t.Context()); n != 2 || err != nil {
		t.Fatalf("%d stored, %v", n, err)
	}
	_ = a.server.Close()
	a.hold.Clear()
	b.takes(t, one, sized(1<<20))
	b.takes(t, two, sized(2<<20))
	// A copy that is not the value is no value.
	if _, err := store.Memory.Put(t.Context(), kvs.Key(DefaultPrefix+two.Held.ID), sized(2<<20-1), kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what b has of it
	_, err := b.In(t.Context(), two)
	wantCode(t, err, fault.Unavailable)
	if n, err := fresh(t, store, 0).Evacuate(t.Context()); n != 0 || err != nil {
		t.Errorf("without a hold: %d, %v", n, err)
	}
}

// TestExpiry in virtual time: what nobody releases goes at its time, which a later reference may put off.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, err := backbone.NewMemory("test", bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pipes := mem.Join("b").Pipes
		store := kvs.NewMemory()
		defer func() { _ = store.Close() }()
		a := newSite(t, siteConfig{name: "a", store: store, listener: pipes.Listen("a")})
		b := newSite(t, siteConfig{name: "b", store: store, listener: pipes.Listen("b"), dial: pipes.Dial})
		data := make([]byte, 1<<20)
		send := func(ttl time.Duration) wire.Value {
			out, err := a.Send(t.Context(), Terms{To: "b", Run: "run", TTL: ttl}, value.MustOf(data))
			if err != nil {
				t.Fatal(err)
			}
			return out[0]
		}
		first := send(10 * time.Second)
		time.Sleep(9 * time.Second)
		second := send(10 * time.Second)
		time.Sleep(2 * time.Second)
		_, err = b.In(t.Context(), first) // its own capability is over
		wantCode(t, err, fault.Unavailable)
		b.takes(t, second, value.MustOf(data))
		time.Sleep(10 * time.Second)
		if s := a.hold.Stats(); s != (HoldStats{}) {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Minute) // idle connections
	})
}

// TestBadReferences: none leads to a wrong value, and none that no executor gave is followed.
func TestBadReferences(t *testing.T) {
	a, b := newSite(t, siteConfig{name: "a"}), newSite(t, siteConfig{name: "b"})
	good := a.gives(t, "b", sized(1<<20))
	for name, c := range map[string]struct {
		edit func(*wire.Direct)
		code fault.Code
	}{
		"another sum":         {func(d *wire.Direct) { d.Sum++ }, fault.Unavailable},
		"another size":        {func(d *wire.Direct) { d.Size-- }, fault.Unavailable},
		"another life":        {func(d *wire.Direct) { d.Incarnation++ }, fault.Unavailable},
		"another value":       {func(d *wire.Direct) { d.ID = strings.Repeat("0", idLen) }, fault.Unavailable},
		"no capability":       {func(d *wire.Direct) { d.Capability = nil }, fault.Unavailable},
		"a forged capability": {func(d *wire.Direct) { d.Capability[20] ^= 1 }, fault.Unavailable},
		"no port":             {func(d *wire.Direct) { d.Port = "" }, fault.InvalidArgument},
		"a long name":         {func(d *wire.Direct) { d.ID += "/../x" }, fault.InvalidArgument},
		"negative":            {func(d *wire.Direct) { d.Size = -1 }, fault.InvalidArgument},
		"too large":           {func(d *wire.Direct) { d.Size = MaxDirect + 1 }, fault.InvalidArgument},
		"a crowd":             {func(d *wire.Direct) { d.Others = make([]string, 100) }, fault.InvalidArgument},
	} {
		d := *good.Held
		d.Capability = bytes.Clone(d.Capability)
		c.edit(&d)
		_, err := b.In(t.Context(), wire.Value{Held: &d})
		if !fault.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	b.takes(t, good, sized(1<<20))
	later := *good.Held
	later.Kind = 200
	if _, err := b.In(t.Context(), wire.Value{Held: &later}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a kind of a later release: %v", err)
	}
	client := fresh(t, newCounted(t), 0) // who has no client of data ports
	_, err := client.In(t.Context(), good)
	wantCode(t, err, fault.Unavailable)
}

// TestAtOnce: many values from many goroutines, while runs end.
func TestAtOnce(t *testing.T) {
	a, b := newSite(t, siteConfig{name: "a", bytes: 64 << 20}), newSite(t, siteConfig{name: "b"})
	shared := value.MustOf(make([]byte, 1<<20))
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 10 {
				run := strings.Repeat("r", 1+w)
				v := sized(300_000 + 1000*w + i)
				if i%3 == 0 {
					v = shared
				}
				out, err := a.Send(t.Context(), Terms{To: "b", Run: run}, v)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := b.In(t.Context(), out[0])
				if err != nil {
					t.Error(err)
					return
				}
				equal(t, got, v)
				if i%4 == 0 {
					a.hold.Release(run)
				}
			}
			a.hold.Release(strings.Repeat("r", 1+w))
		})
	}
	all.Wait()
	if s := a.hold.Stats(); s != (HoldStats{}) {
		t.Errorf("%+v", s)
	}
}
