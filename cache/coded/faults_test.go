package coded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
)

func columns(w *world) (n int) {
	for _, l := range w.lenders {
		n += len(l.memory.Held(nil))
	}
	return n
}

// TestTornWrite: a writer that fails or dies in the middle leaves the old value whole, and what it sent goes away.
func TestTornWrite(t *testing.T) {
	w := newWorld(t, setup{lenders: 6, grace: 2 * time.Second})
	code := layout.Code{Data: 4, Parity: 2}
	old := random(1, 5_000_000)
	w.put("k", old, PutOptions{Code: code})
	before := columns(w)

	fails := io.MultiReader(bytes.NewReader(random(2, 9_000_000)), iotest.ErrReader(errors.New("the disk is gone")))
	if _, err := w.tier.Put(t.Context(), "k", fails, PutOptions{Code: code}); err == nil || err.Error() != "the disk is gone" {
		t.Fatal(err)
	}
	w.want("k", old)

	ctx, cancel := context.WithCancel(t.Context())
	dies := io.MultiReader(bytes.NewReader(random(3, 9_000_000)), readerFunc(func([]byte) (int, error) { cancel(); return 0, ctx.Err() }))
	if _, err := w.tier.Put(ctx, "k", dies, PutOptions{Code: code}); !fault.Is(err, fault.Cancelled) {
		t.Fatal(err)
	}
	w.want("k", old)

	// A client that dies without a word: its shards are there, and nobody will seal them.
	dead := w.join("dead", 0)
	v := lend.Version{9}
	shard := random(4, 1000)
	meta := lend.Meta{ID: lend.ID{Version: v}, Key: "k"}
	if err := dead.conns.putShard(t.Context(), w.lenders[0].Addr(), meta, 0, shard, sumOf(meta.ID, 0, shard)); err != nil {
		t.Fatal(err)
	}
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	w.eventually("what was sent is dropped", func() bool { return columns(w) == before })
	w.want("k", old)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestLostSeal: a seal that was lost costs nothing: the lender asks the catalog and keeps what is current.
func TestLostSeal(t *testing.T) {
	w := newWorld(t, setup{lenders: 3, grace: time.Second})
	b := random(1, 400_000)
	w.put("k", b, PutOptions{})
	for _, l := range w.lenders {
		for _, h := range l.memory.Held(nil) { // as if it had come, and the seal had not
			l.memory.Drop(h.Version, int(h.Column))
		}
	}
	o, err := w.tier.catalog.current(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	x := o.shape.Stripe(0)
	shards := make([][]byte, x.Width())
	for c := range shards {
		shards[c] = make([]byte, x.Shard)
		if c < x.Data {
			copy(shards[c], b[c*x.Shard:])
		}
	}
	if err := w.tier.coders.encode(x, shards); err != nil {
		t.Fatal(err)
	}
	for c, holder := range o.Holders {
		meta := lend.Meta{ID: lend.ID{Version: o.version(), Column: uint16(c)}, Key: "k"}
		shard := shards[c][:x.Stored(c)]
		if err := w.tier.conns.putShard(t.Context(), w.tier.fleet.addr(holder), meta, 0, shard, sumOf(meta.ID, 0, shard)); err != nil {
			t.Fatal(err)
		}
	}
	w.eventually("sealed by the lenders themselves", func() bool {
		for _, l := range w.lenders {
			for _, h := range l.memory.Held(nil) {
				if !h.Sealed {
					return false
				}
			}
		}
		return columns(w) == 3
	})
	w.want("k", b)
}

// TestConcurrentPuts: of several at a time each is whole, one is current in the end, and the others' shards go.
func TestConcurrentPuts(t *testing.T) {
	w := newWorld(t, setup{lenders: 6, grace: 2 * time.Second})
	const writers = 6
	var all [][]byte
	for i := range writers {
		all = append(all, random(i, 3_000_000+i))
	}
	var work sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, i, err := w.tier.GetBytes(t.Context(), "k", 0)
				if fault.Is(err, fault.NotFound) && i.Seq == 0 {
					continue
				}
				if err != nil || !slices.ContainsFunc(all, func(b []byte) bool { return bytes.Equal(b, got) }) {
					t.Errorf("a mixture of %d bytes, or %v", len(got), err)
					return
				}
			}
		})
	}
	var puts sync.WaitGroup
	var mu sync.Mutex
	seqs := map[uint64]bool{}
	for _, b := range all {
		puts.Go(func() {
			i, err := w.tier.PutBytes(t.Context(), "k", b, PutOptions{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seqs[i.Seq] = true
		})
	}
	puts.Wait()
	close(stop)
	work.Wait()
	if len(seqs) != writers || !seqs[1] || !seqs[writers] {
		t.Fatalf("versions %v of %d puts", seqs, writers)
	}
	w.eventually("only the last version is left", func() bool { return columns(w) == 6 })
}

// TestNeverTheOldValue: once a Put was answered, no reader sees what was before, not even one that knew where that is.
func TestNeverTheOldValue(t *testing.T) {
	w := newWorld(t, setup{lenders: 6})
	other := w.join("other", 0)
	defer other.Close()
	for i := range 60 {
		b := random(i, 200_000)
		w.put("k", b, PutOptions{})
		got, _, err := other.GetBytes(t.Context(), "k", 0) // it has a hint of the version before
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("version %d: %v", i, err)
		}
	}
	if err := w.tier.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.GetBytes(t.Context(), "k", 0); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}

// TestIfSeq: compare-and-set for authors.
func TestIfSeq(t *testing.T) {
	w := newWorld(t, setup{lenders: 3})
	seq := func(n uint64) *uint64 { return &n }
	try := func(n uint64) error {
		_, err := w.tier.PutBytes(t.Context(), "k", []byte("x"), PutOptions{IfSeq: seq(n)})
		return err
	}
	if err := try(1); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	for n := range uint64(3) {
		if err := try(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := try(1); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	w.want("k", []byte("x"))
}

// TestFewLenders: fewer than d+p lenders hold two shards each, and a code is chosen that fits; with none it is an error.
func TestFewLenders(t *testing.T) {
	for n := range 4 {
		w := newWorld(t, setup{lenders: n})
		b := random(n, 3_000_000)
		for _, code := range []layout.Code{{}, ten2} {
			i, err := w.tier.PutBytes(t.Context(), "k", b, PutOptions{Code: code})
			if n == 0 {
				if !fault.Is(err, fault.NoExecutor) {
					t.Fatal(err)
				}
				continue
			}
			if err != nil || code.IsZero() && i.Code.Width() > n {
				t.Fatal(i, err)
			}
			w.want("k", b)
		}
	}
}

// TestUnequalLenders: large lenders get more, small ones are not overfilled, and what does not fit anywhere is refused.
func TestUnequalLenders(t *testing.T) {
	w := newWorld(t, setup{})
	for i := range 6 {
		w.lend(setup{bytes: int64(1+i*8) << 20})
	}
	w.eventually("all are known", func() bool { return len(w.tier.Lenders()) == 6 })
	held := map[string][]byte{}
	for i := range 30 {
		key := fmt.Sprint(i)
		held[key] = random(i, 1_500_000)
		w.put(key, held[key], PutOptions{Code: layout.Code{Data: 4, Parity: 1}})
	}
	for _, l := range w.lenders {
		if s := l.Stats(); s.Resident > s.Limit {
			t.Fatalf("%+v", s)
		}
	}
	hits := 0
	for key, b := range held {
		got, _, err := w.tier.GetBytes(t.Context(), key, 0)
		switch {
		case err == nil && bytes.Equal(got, b):
			hits++
		case !fault.Is(err, fault.NotFound):
			t.Fatal(key, err)
		}
	}
	if hits < 15 {
		t.Errorf("%d of 30 objects of 45 MB are left in 121 MB", hits)
	}
	_, err := w.tier.PutBytes(t.Context(), "huge", make([]byte, 200<<20), PutOptions{})
	if !fault.Is(err, fault.NoExecutor) {
		t.Fatal(err)
	}
}

// TestMemoryPressure: where all lenders are full and nothing may go, a Put is refused, and what was there stays.
func TestMemoryPressure(t *testing.T) {
	w := newWorld(t, setup{lenders: 4, bytes: 2 << 20})
	b := random(1, 1_000_000)
	w.put("k", b, PutOptions{})
	for i, l := range w.lenders { // writes that never end fill the rest
		for n := uint32(0); ; n++ {
			if _, err := l.memory.Put(lend.Meta{ID: lend.ID{Version: lend.Version{99, byte(i), byte(n)}}, Key: "x"}, 0, 16<<10, time.Now()); err != nil {
				break
			}
			l.memory.Get(lend.ID{}, 0, time.Now())
		}
	}
	_, err := w.tier.PutBytes(t.Context(), "new", b, PutOptions{})
	if !fault.Is(err, fault.Overloaded) {
		t.Fatal(err)
	}
}

// TestTTL: an object is gone after its time, in the catalog and with its lenders.
func TestTTL(t *testing.T) {
	w := newWorld(t, setup{lenders: 3, grace: 2 * time.Second})
	w.put("k", random(1, 100_000), PutOptions{TTL: time.Second})
	w.want("k", random(1, 100_000))
	w.eventually("expired", func() bool {
		_, err := w.tier.Get(t.Context(), "k", io.Discard)
		return fault.Is(err, fault.NotFound)
	})
	w.eventually("swept", func() bool { return columns(w) == 0 })
	if _, err := w.tier.PutBytes(t.Context(), "k", nil, PutOptions{TTL: -1}); !fault.Is(err, fault.InvalidArgument) {
		t.Fatal(err)
	}
}

// TestRefuses: bad keys, codes and ranges, and a tier that is closed.
func TestRefuses(t *testing.T) {
	w := newWorld(t, setup{lenders: 3})
	w.put("k", []byte("value"), PutOptions{})
	for name, c := range map[string]struct {
		err  error
		code fault.Code
	}{
		"no key":     {second(w.tier.PutBytes(t.Context(), "", nil, PutOptions{})), fault.InvalidKey},
		"long key":   {second(w.tier.Get(t.Context(), string(make([]byte, maxKey+1)), io.Discard)), fault.InvalidKey},
		"wide code":  {second(w.tier.PutBytes(t.Context(), "k", nil, PutOptions{Code: layout.Code{Data: 100, Parity: 2}})), fault.InvalidArgument},
		"outside":    {second(w.tier.GetRange(t.Context(), "k", 3, 3, io.Discard)), fault.InvalidArgument},
		"wrong room": {second(w.tier.GetInto(t.Context(), "k", make([]byte, 4))), fault.InvalidArgument},
		"long kind":  {second(w.tier.PutBytes(t.Context(), "k", nil, PutOptions{Kind: string(make([]byte, 300))})), fault.InvalidArgument},
	} {
		if !fault.Is(c.err, c.code) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if _, _, err := w.tier.GetBytes(t.Context(), "k", 4); !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	if err := w.tier.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tier.Get(t.Context(), "k", io.Discard); err == nil {
		t.Error("read from a closed tier")
	}
}

func second[T any](_ T, err error) error { return err }

// TestWriterGoesAway: an error of who takes the object is given back as it is, and nothing is left running.
func TestWriterGoesAway(t *testing.T) {
	w := newWorld(t, setup{lenders: 6})
	w.put("k", random(1, 30<<20), PutOptions{})
	gone := errors.New("the pipe is gone")
	if _, err := w.tier.Get(t.Context(), "k", writerFunc(func([]byte) (int, error) { return 0, gone })); !errors.Is(err, gone) {
		t.Fatal(err)
	}
	for range 20 { // what was read ahead by then differs, and is not shown
		ctx, cancel := context.WithCancel(t.Context())
		writes := 0
		if _, err := w.tier.Get(ctx, "k", writerFunc(func(b []byte) (int, error) { cancel(); writes++; return len(b), nil })); !fault.Is(err, fault.Cancelled) || writes != 1 {
			t.Fatalf("%v after %d writes", err, writes)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
