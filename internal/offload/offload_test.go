package offload

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

// counted is a memory store that counts, and whose calls a test can replace.
type counted struct {
	*kvs.Memory
	puts, gets, deletes atomic.Int64
	ttl                 atomic.Int64
	before              func(context.Context) error
}

func newCounted(t testing.TB) *counted {
	s := &counted{Memory: kvs.NewMemory()}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *counted) Put(ctx context.Context, key kvs.Key, v value.Value, o kvs.PutOptions) (kvs.Revision, error) {
	s.puts.Add(1)
	s.ttl.Store(int64(o.TTL))
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return 0, err
		}
	}
	return s.Memory.Put(ctx, key, v, o)
}

func (s *counted) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	s.gets.Add(1)
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return kvs.Entry{}, err
		}
	}
	return s.Memory.Get(ctx, key)
}

func (s *counted) Delete(ctx context.Context, key kvs.Key, r kvs.Revision) error {
	s.deletes.Add(1)
	return s.Memory.Delete(ctx, key, r)
}

func fresh(t testing.TB, s kvs.Store, threshold int) *Offload {
	t.Helper()
	o, err := New(Config{Store: s, Threshold: threshold})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func sized(n int) value.Value {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * n)
	}
	return value.MustOf(b)
}

func same(t *testing.T, got, want []value.Value) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range want {
		a, err := got[i].Wire()
		b, err2 := want[i].Wire()
		if err != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Fatalf("value %d differs (%v, %v)", i, err, err2)
		}
	}
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// TestThreshold: which of several values travel inline.
func TestThreshold(t *testing.T) {
	const limit = 10_000
	for _, c := range []struct {
		name  string
		sizes []int // of payloads; the wire form has one byte more
		far   string
	}{
		{"none", nil, ""},
		{"small", []int{10}, "."},
		{"at the threshold", []int{limit - 1}, "."},
		{"just over", []int{limit}, "F"},
		{"just over, by the kind", []int{limit + 1}, "F"},
		{"together at the threshold", []int{4999, 4999}, ".."},
		{"together over it", []int{4999, 5000}, ".F"},
		{"the largest goes", []int{3000, 6000, 3000}, ".F."},
		{"the two largest go", []int{6000, 3000, 6000, 3000, 3000}, "F.F.."},
		{"of equals the first", []int{6000, 6000}, "F."},
		{"huge among small", []int{1, 1 << 20, 1}, ".F."},
		{"empty", []int{0, 0}, ".."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newCounted(t)
			o := fresh(t, s, limit)
			var vs []value.Value
			for _, n := range c.sizes {
				vs = append(vs, sized(n))
			}
			out, err := o.Out(t.Context(), 0, vs...)
			if err != nil {
				t.Fatal(err)
			}
			got, inline := "", 0
			for i, w := range out {
				if w.Far != nil {
					got += "F"
					if w.Far.Size != c.sizes[i]+1 || w.Inline != nil {
						t.Fatalf("%+v for %d bytes", w.Far, c.sizes[i])
					}
				} else {
					got += "."
					inline += len(w.Inline)
				}
			}
			if got != c.far || inline > limit {
				t.Fatalf("%q with %d bytes inline, want %q", got, inline, c.far)
			}
			if n := int64(strings.Count(c.far, "F")); s.puts.Load() != n {
				t.Fatalf("%d puts, want %d", s.puts.Load(), n)
			}
			back, err := o.InAll(t.Context(), out)
			if err != nil {
				t.Fatal(err)
			}
			same(t, back, vs)
			for i := range out {
				v, err := o.In(t.Context(), out[i])
				if err != nil {
					t.Fatal(err)
				}
				same(t, []value.Value{v}, vs[i:i+1])
			}
		})
	}
}

func TestKinds(t *testing.T) {
	type point struct{ X, Y []int }
	big := make([]int, 3000)
	for i := range big {
		big[i] = i * i
	}
	for _, threshold := range []int{4 << 10, 1 << 20} {
		o := fresh(t, newCounted(t), threshold)
		vs := []value.Value{
			{}, value.MustOf(7), value.MustOf(strings.Repeat("long ", 2000)), value.MustOf("short"), value.MustOf(value.Ref("k")),
			value.MustOf(point{big, big}), value.MustOf(big), value.MustOf([]value.Value{sized(9000), value.MustOf(1)}),
			value.MustOf(make([]float64, 5000)),
		}
		out, err := o.Out(t.Context(), 0, vs...)
		if err != nil {
			t.Fatal(err)
		}
		back, err := o.InAll(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		same(t, back, vs)
		p, err := value.As[point](back[5])
		if err != nil || len(p.Y) != len(big) || p.Y[2999] != big[2999] {
			t.Fatal(err)
		}
	}
}

// TestRandom: whatever the sizes, the message keeps its budget and the values come back.
func TestRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const limit = 16 << 10
	o := fresh(t, newCounted(t), limit)
	for range 200 {
		var vs []value.Value
		for range rng.IntN(20) {
			vs = append(vs, sized(rng.IntN(1<<rng.IntN(16))))
		}
		out, err := o.Out(t.Context(), 0, vs...)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, w := range out {
			total += len(w.Inline)
			if w.Far != nil {
				total += len(wire.MustEncode(&wire.Call{Values: []wire.Value{w}})) - len(wire.MustEncode(&wire.Call{Values: []wire.Value{{}}}))
			}
		}
		if total > limit {
			t.Fatalf("%d bytes in the message", total)
		}
		back, err := o.InAll(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		same(t, back, vs)
	}
}

func TestTTL(t *testing.T) {
	s := newCounted(t)
	o := fresh(t, s, 0)
	for give, want := range map[time.Duration]time.Duration{0: DefaultTTL, time.Minute: time.Minute} {
		if _, err := o.Out(t.Context(), give, sized(300<<10)); err != nil {
			t.Fatal(err)
		}
		if got := time.Duration(s.ttl.Load()); got != want {
			t.Fatalf("TTL %v, want %v", got, want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	s := newCounted(t)
	o := fresh(t, s, 0)
	huge := value.MustOf(make([]byte, MaxValue+1))
	_, err := o.Out(t.Context(), 0, value.MustOf(1), huge)
	wantCode(t, err, fault.TooLarge)
	for _, part := range []string{"value 2 of 2", "67108865", "67108864"} {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("%q does not say %q", err, part)
		}
	}
	_, err = o.Out(t.Context(), 0, value.MustOf(strings.Repeat("x", MaxValue+1)))
	wantCode(t, err, fault.TooLarge)
	_, err = o.Out(t.Context(), 0, value.MustOf(make([]int16, MaxValue/2+1))) // live: its size shows when it is encoded
	wantCode(t, err, fault.TooLarge)
	many := make([]value.Value, 5000)
	for i := range many {
		many[i] = sized(100)
	}
	_, err = o.Out(t.Context(), 0, many...)
	wantCode(t, err, fault.TooLarge)
	for i := range many {
		many[i] = sized(1000)
	}
	_, err = o.Out(t.Context(), 0, many...)
	wantCode(t, err, fault.TooLarge)
	if s.puts.Load() != 0 {
		t.Fatalf("%d puts for what is refused", s.puts.Load())
	}
}

// TestNeverAWrongValue: whatever happens to what is stored, In gives the value or an error.
func TestNeverAWrongValue(t *testing.T) {
	s := newCounted(t)
	o := fresh(t, s, 0)
	want := sized(300 << 10)
	out, err := o.Out(t.Context(), 0, want)
	if err != nil {
		t.Fatal(err)
	}
	good := *out[0].Far
	_, data, _ := want.Payload()
	flipped := bytes.Clone(data)
	flipped[1000] ^= 1
	asText, _ := value.FromPayload(value.Text, data)
	for name, v := range map[string]value.Value{
		"flipped": value.MustOf(flipped), "short": value.MustOf(data[1:]), "long": value.MustOf(append(bytes.Clone(data), 0)),
		"empty": {}, "another kind": asText, "another": value.MustOf(7),
	} {
		if _, err := s.Memory.Put(t.Context(), kvs.Key(good.Key), v, kvs.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		got, err := o.In(t.Context(), out[0])
		if !fault.Is(err, fault.Unavailable) || !got.IsNull() {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := o.InAll(t.Context(), []wire.Value{out[0], out[0]}); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if _, err := s.Memory.Put(t.Context(), kvs.Key(good.Key), want, kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.In(t.Context(), out[0]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		edit func(*wire.FarAway)
		code fault.Code
	}{
		{func(f *wire.FarAway) { f.Hash++ }, fault.Unavailable},
		{func(f *wire.FarAway) { f.Size-- }, fault.Unavailable},
		{func(f *wire.FarAway) { f.Key += "0" }, fault.Unavailable},
		{func(f *wire.FarAway) { f.Key = "runs/secret" }, fault.InvalidArgument},
		{func(f *wire.FarAway) { f.Key = "" }, fault.InvalidArgument},
		{func(f *wire.FarAway) { f.Key = DefaultPrefix + strings.Repeat("x", kvs.MaxKey) }, fault.Unavailable},
		{func(f *wire.FarAway) { f.Size = -1 }, fault.InvalidArgument},
		{func(f *wire.FarAway) { f.Size = MaxDirect + 2 }, fault.InvalidArgument},
	} {
		f := good
		c.edit(&f)
		_, err := o.In(t.Context(), wire.Value{Far: &f})
		wantCode(t, err, c.code)
	}
	_, err = o.In(t.Context(), wire.Value{})
	wantCode(t, err, fault.InvalidArgument)
	_, err = o.InAll(t.Context(), []wire.Value{out[0], {Inline: []byte{99}}})
	wantCode(t, err, fault.Unsupported)
}

func TestDiscard(t *testing.T) {
	s := newCounted(t)
	o := fresh(t, s, 0)
	out, err := o.Out(t.Context(), 0, sized(300<<10), sized(10), sized(400<<10))
	if err != nil {
		t.Fatal(err)
	}
	strange := wire.Value{Far: &wire.FarAway{Key: "runs/1", Size: 1}}
	put(t, s, "runs/1")
	o.Discard(t.Context(), append(out, strange))
	if s.deletes.Load() != 2 {
		t.Fatalf("%d deletes, want 2", s.deletes.Load())
	}
	if _, err := s.Get(t.Context(), "runs/1"); err != nil {
		t.Fatal("Discard deleted what is not an offloaded value")
	}
	_, err = o.In(t.Context(), out[0])
	wantCode(t, err, fault.Unavailable)
	if !strings.Contains(err.Error(), "307201 bytes is gone") {
		t.Fatal(err)
	}
	if _, err := o.In(t.Context(), out[1]); err != nil {
		t.Fatal(err)
	}
	o.Discard(t.Context(), out) // again: nothing
}

func put(t *testing.T, s kvs.Store, key kvs.Key) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, value.MustOf(1), kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestContext(t *testing.T) {
	s := newCounted(t)
	o := fresh(t, s, 0)
	vs := []value.Value{sized(300 << 10), sized(301 << 10)}
	out, err := o.Out(t.Context(), 0, vs...)
	if err != nil {
		t.Fatal(err)
	}
	for want, make := range map[fault.Code]func() (context.Context, context.CancelFunc){
		fault.Cancelled: func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
		fault.DeadlineExceeded: func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Millisecond)
		},
	} {
		var waiting atomic.Int64
		ctx, cancel := make()
		s.before = func(ctx context.Context) error {
			if waiting.Add(1) == 2 && want == fault.Cancelled {
				cancel()
			}
			<-ctx.Done()
			return fault.From(ctx.Err())
		}
		_, err := o.Out(ctx, 0, vs...)
		wantCode(t, err, want)
		cancel()
		waiting.Store(0)
		ctx, cancel = make()
		_, err = o.InAll(ctx, out)
		wantCode(t, err, want)
		cancel()
	}
	s.before = func(context.Context) error { return fault.New(fault.Unavailable, "no quorum") }
	_, err = o.Out(t.Context(), 0, vs...)
	wantCode(t, err, fault.Unavailable)
	_, err = o.InAll(t.Context(), out)
	wantCode(t, err, fault.Unavailable)
	if !strings.Contains(err.Error(), "no quorum") {
		t.Fatal(err)
	}
	// What needs no store does not look at ctx.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	small, err := o.Out(ended, 0, sized(10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.InAll(ended, small); err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	s := newCounted(t)
	for _, cfg := range []Config{{}, {Store: s, Threshold: 1}, {Store: s, Threshold: -1}, {Store: s, TTL: time.Millisecond}, {Store: s, Prefix: "a\x00"}} {
		_, err := New(cfg)
		wantCode(t, err, fault.InvalidArgument)
	}
}

func TestSmallValuesAllocateLittle(t *testing.T) {
	o := fresh(t, newCounted(t), 0)
	vs := []value.Value{value.MustOf(1), sized(100), value.MustOf("text")}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := o.Out(t.Context(), 0, vs...); err != nil {
			t.Fatal(err)
		}
	}); n > 2 { // the result, and one buffer for all
		t.Fatalf("%v allocations", n)
	}
	out, _ := o.Out(t.Context(), 0, vs...)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := o.InAll(t.Context(), out); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkOut(b *testing.B) {
	for _, n := range []int{8, 1 << 10, 64 << 10, 1 << 20, 16 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := fresh(b, newCounted(b), 0)
			v := sized(n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				out, err := o.Out(b.Context(), 0, v)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := o.In(b.Context(), out[0]); err != nil {
					b.Fatal(err)
				}
				o.Discard(b.Context(), out)
			}
		})
	}
}
