package version_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

func TestWriterCosts(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s)
	putTo(t, w, "k", 1)
	if r, b := s.reads.Load(), s.batches.Load(); r != 1 || b != 1 {
		t.Fatalf("the first put took %d reads and %d writes", r, b)
	}
	putTo(t, w, "k", 2)
	holds(t, w, "k", 2)
	_, err := w.Delete(t.Context(), "k", version.WriteOptions{})
	must(t, err)
	putTo(t, w, "k", 3)
	if r, b := s.reads.Load(), s.batches.Load(); r != 2 || b != 4 {
		t.Fatalf("with the key known: %d reads and %d writes in all", r, b)
	}
	if v, err := w.Delete(t.Context(), "nothing", version.WriteOptions{}); err != nil || v.Revision != 0 {
		t.Fatal(v, err)
	}
	_, err = w.Get(t.Context(), "nothing", kvs.LWW)
	fails(t, err, fault.NotFound)
	_, err = w.Get(t.Context(), "nothing", kvs.Strong)
	fails(t, err, fault.NotFound)
}

// Whoever puts one new key after the other pays for one request each, not for a read before each; a key that was there
// after all costs a refusal more, and is told from then on.
func TestWriterNewKeysAreNotRead(t *testing.T) {
	s := newStage(t)
	w, other := newWriter(t, s), newWriter(t, s)
	putTo(t, other, "old", 0)
	reads, batches := s.reads.Load(), s.batches.Load()
	for i := range 100 {
		putTo(t, w, kvs.Key(fmt.Sprint("new ", i)), i)
	}
	if r, b := s.reads.Load()-reads, s.batches.Load()-batches; r != 8 || b != 100 {
		t.Fatalf("100 new keys took %d reads and %d writes", r, b)
	}
	putTo(t, w, "old", 1)
	if r, b := s.reads.Load()-reads, s.batches.Load()-batches; r != 9 || b != 102 {
		t.Fatalf("a key that was there: %d reads and %d writes in all", r, b)
	}
	holds(t, other, "old", 1)
	putTo(t, w, "another", 1)
	if r := s.reads.Load() - reads; r != 11 { // other has read, too
		t.Fatalf("after a key that was there, the next was not asked for: %d reads", r)
	}
}

// A put over a delete that the Writer has not heard of is a put, whether the key is asked for first or not.
func TestWriterTakesDeletedKeysForNew(t *testing.T) {
	s := newStage(t)
	w, other := newWriter(t, s), newWriter(t, s)
	for i := range 20 {
		key := kvs.Key(fmt.Sprint("k", i))
		putTo(t, other, key, "old")
		_, err := other.Delete(t.Context(), key, version.WriteOptions{})
		must(t, err)
		putTo(t, w, kvs.Key(fmt.Sprint("new ", i)), i)
	}
	for i := range 20 {
		key := kvs.Key(fmt.Sprint("k", i))
		putTo(t, w, key, i)
		holds(t, other, key, i)
	}
}

// A put that begins after another has returned wins, whatever the clocks say, as long as they are sane.
func TestWriterLastPutWins(t *testing.T) {
	s := newStage(t)
	ahead, behind := newWriter(t, s, off(1, 240*time.Millisecond)), newWriter(t, s, off(2, -240*time.Millisecond))
	for i := range 10 {
		putTo(t, ahead, "k", 2*i)
		putTo(t, behind, "k", 2*i+1)
		holds(t, ahead, "k", 2*i+1)
	}
	// What is ahead of all is told, and nothing is dropped silently.
	insane := newWriter(t, s, off(3, time.Hour))
	putTo(t, insane, "k", "future")
	_, err := behind.Put(t.Context(), "k", value.MustOf("now"), version.WriteOptions{})
	fails(t, err, fault.ClockSkew)
	putTo(t, behind, "k", "proof", version.WriteOptions{Level: kvs.Strong}) // the store alone orders these
	holds(t, insane, "k", "proof")
}

func TestWriterClockAgainstTheStores(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s, func(c *version.WriterConfig) { c.Skewed = nil })
	putTo(t, w, "k", 1)
	putTo(t, w, "k", 1)
	if n := s.reads.Load(); n != 2 {
		t.Fatalf("%d reads: one of the key, one of the store's clock", n)
	}
	for _, shift := range []time.Duration{time.Hour, -time.Hour} {
		s.shift.Store(int64(shift))
		w = newWriter(t, s, func(c *version.WriterConfig) { c.Skewed = nil })
		for range 2 {
			_, err := w.Put(t.Context(), "k", value.MustOf(2), version.WriteOptions{})
			fails(t, err, fault.ClockSkew)
		}
	}
	w = newWriter(t, s, func(c *version.WriterConfig) { c.Skewed = func() time.Duration { return -251 * time.Millisecond } })
	_, err := w.Put(t.Context(), "k", value.MustOf(2), version.WriteOptions{})
	fails(t, err, fault.ClockSkew)
}

func TestWriterConditions(t *testing.T) {
	s := newStage(t)
	w, other := newWriter(t, s), newWriter(t, s)
	create := version.WriteOptions{Create: true}
	first := putTo(t, w, "k", 1, create)
	_, err := w.Put(t.Context(), "k", value.MustOf(2), create)
	fails(t, err, fault.Conflict)
	second := putTo(t, other, "k", 2, version.WriteOptions{Revision: first.Revision})
	_, err = w.Put(t.Context(), "k", value.MustOf(3), version.WriteOptions{Revision: first.Revision})
	fails(t, err, fault.Conflict)
	_, err = w.Delete(t.Context(), "k", version.WriteOptions{Revision: first.Revision})
	fails(t, err, fault.Conflict)
	_, err = w.Put(t.Context(), "k", value.MustOf(3), version.WriteOptions{Revision: first.Revision, Create: true})
	fails(t, err, fault.InvalidArgument)
	holds(t, w, "k", 2)
	_, err = w.Delete(t.Context(), "k", version.WriteOptions{Revision: second.Revision})
	must(t, err)
	putTo(t, other, "k", 4, create)
	for _, o := range []version.WriteOptions{{TTL: -1}, {Level: 99}} {
		if _, err = w.Put(t.Context(), "k", value.MustOf(3), o); err == nil {
			t.Fatalf("%+v was taken", o)
		}
	}
	_, err = w.Put(t.Context(), "", value.MustOf(3), version.WriteOptions{})
	fails(t, err, fault.InvalidKey)

	// Many who create one key: one does. Many who replace one revision: one does.
	for round, o := range []version.WriteOptions{create, {Revision: 0}} {
		key := kvs.Key(fmt.Sprint("race", round))
		if !o.Create {
			o.Revision = putTo(t, w, key, "old").Revision
		}
		var won atomic.Int64
		atOnce(32, func(i int) {
			who := []*version.Writer{w, other}[i%2]
			if _, err := who.Put(t.Context(), key, value.MustOf(i), o); err == nil {
				won.Add(1)
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		})
		if won.Load() != 1 {
			t.Fatalf("%d of 32 had the key", won.Load())
		}
	}
}

func TestWriterTTL(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s)
	putTo(t, w, "k", 1, version.WriteOptions{TTL: time.Hour})
	e, err := s.Store.Get(t.Context(), "k")
	must(t, err)
	if left := time.Until(e.Expires); left < 59*time.Minute || left > 61*time.Minute {
		t.Fatalf("expires in %v", left)
	}
	putTo(t, w, "k", 1)
	if e, err = s.Store.Get(t.Context(), "k"); err != nil || !e.Expires.IsZero() {
		t.Fatalf("%v, expires %v", err, e.Expires)
	}
}

// What many goroutines put blindly through one Writer follows one after the other: it is one session.
func TestWriterIsOneSession(t *testing.T) {
	s := newStage(t)
	sk := version.WriteOptions{Level: kvs.SingleKey}
	w, other := newWriter(t, s), newWriter(t, s)
	putTo(t, other, "k", "other's", sk)
	atOnce(20, func(n int) {
		for i := range 20 {
			if _, err := w.Put(t.Context(), "k", value.MustOf(20*n+i), sk); err != nil {
				t.Error(err)
			}
		}
	})
	v, err := w.Get(t.Context(), "k", kvs.SingleKey)
	must(t, err)
	if n := len(v.Siblings()); n != 2 {
		t.Fatalf("%d siblings: one of each session, want 2", n)
	}
	// Who serves many has no session: nothing says that one of them has seen what another has put.
	many := newWriter(t, s, func(c *version.WriterConfig) { c.Sessionless = true })
	for i := range version.MaxSiblings {
		putTo(t, many, "m", i, sk)
	}
	_, err = many.Put(t.Context(), "m", value.MustOf("one more"), sk)
	fails(t, err, fault.Conflict)
	putTo(t, many, "m", "all", version.WriteOptions{})
	holds(t, w, "m", "all")
}

// What a session has not read of a key stays beside what it puts; what it has read or written is replaced.
func TestWriterSiblings(t *testing.T) {
	s := newStage(t)
	sk := version.WriteOptions{Level: kvs.SingleKey}
	a, b := newWriter(t, s), newWriter(t, s)
	putTo(t, a, "k", "a1", sk)
	putTo(t, b, "k", "b1", sk) // has not seen a1
	holds(t, newWriter(t, s), "k", "b1", "a1")
	putTo(t, a, "k", "a2", sk) // knows its own, and no more
	holds(t, newWriter(t, s), "k", "a2", "b1")
	for _, w := range []*version.Writer{a, b} {
		if v, err := w.Get(t.Context(), "k", kvs.SingleKey); err != nil || len(v.Siblings()) != 2 {
			t.Fatal(v, err)
		}
	}
	putTo(t, b, "k", "both", sk)
	holds(t, a, "k", "both")
	putTo(t, a, "k", "a3", sk) // has read a2 and b1, not both
	v := holds(t, newWriter(t, s), "k", "a3", "both")

	// A condition names what is replaced.
	putTo(t, newWriter(t, s), "k", "one", version.WriteOptions{Level: kvs.SingleKey, Revision: v.Revision})
	holds(t, a, "k", "one")
	// A delete takes away what was seen.
	putTo(t, newWriter(t, s), "k", "two", sk)
	if _, err := b.Get(t.Context(), "k", kvs.SingleKey); err != nil {
		t.Fatal(err)
	}
	putTo(t, newWriter(t, s), "k", "three", sk)
	if _, err := b.Delete(t.Context(), "k", sk); err != nil {
		t.Fatal(err)
	}
	holds(t, a, "k", "three")
	putTo(t, a, "k", "plain") // at lww the last one wins over all
	holds(t, b, "k", "plain")
	// Over a plain value that a Writer remembers, without its bytes.
	putTo(t, a, "k", "beside", sk)
	holds(t, b, "k", "beside", "plain")
}

// A write at mk depends on what the session has read and written, and a read is never older than that.
func TestWriterDependencies(t *testing.T) {
	s := newStage(t)
	w, other := newWriter(t, s), newWriter(t, s)
	mk := version.WriteOptions{Level: kvs.MultiKey}
	read := putTo(t, other, "read", 1, mk)
	if _, err := w.Get(t.Context(), "read", kvs.MultiKey); err != nil {
		t.Fatal(err)
	}
	own := putTo(t, w, "own", 1, mk)
	putTo(t, w, "unrelated", 1)
	got := putTo(t, w, "k", 1, mk)
	if len(got.Deps) != 2 || version.FindDep(got.Deps, "read") != read.Revision || version.FindDep(got.Deps, "own") != own.Revision {
		t.Fatalf("depends on %+v", got.Deps)
	}
	// A replica that is behind is not believed.
	old, err := s.Store.Get(t.Context(), "read")
	must(t, err)
	putTo(t, other, "read", 2, mk)
	if _, err := other.Get(t.Context(), "read", kvs.MultiKey); err != nil {
		t.Fatal(err)
	}
	putTo(t, other, "k2", 2, mk) // depends on it
	if _, err := w.Get(t.Context(), "k2", kvs.MultiKey); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.stale["read"] = old
	s.mu.Unlock()
	v, err := w.Get(t.Context(), "read", kvs.MultiKey)
	must(t, err)
	if v.Revision == old.Revision || s.current.Load() != 1 {
		t.Fatalf("revision %d after %d proofs", v.Revision, s.current.Load())
	}
	for i := range 300 { // bounded
		v = putTo(t, w, kvs.Key(fmt.Sprint("many", i)), 1, mk)
	}
	if len(v.Deps) != 64 || v.After == 0 {
		t.Fatalf("%d dependencies, after %d", len(v.Deps), v.After)
	}
}

// 32 at once on each of three Writers, answers and requests lost: each increment counts once, and everybody is told.
func TestWriterCountsOnce(t *testing.T) {
	for seed := range uint64(3) {
		s := newStage(t)
		s.faulty(0.2, 0.1, seed)
		ws := []*version.Writer{newWriter(t, s), newWriter(t, s), newWriter(t, s)}
		one := must2(lattice.ParseOp("add", "1"))
		var done atomic.Int64
		atOnce(96, func(i int) {
			for range 5 {
				_, err := ws[i%3].Update(t.Context(), "n", one, version.WriteOptions{})
				switch {
				case err == nil:
					done.Add(1)
				case !fault.Is(err, fault.Unavailable): // three lost in a row: it may have counted
					t.Error(err)
				}
			}
		})
		s.faulty(0, 0, 0)
		v, err := ws[0].Get(t.Context(), "n", kvs.Strong)
		must(t, err)
		n := int64(must2(value.As[int](v.Value)))
		if n < done.Load() || n > 96*5 || done.Load() < 400 {
			t.Fatalf("seed %d: %d counted, %d acknowledged", seed, n, done.Load())
		}
	}
}

func TestWriterLostAnswers(t *testing.T) {
	one := must2(lattice.ParseOp("add", "1"))
	overwrite := func(t *testing.T, s *stage, key kvs.Key, f func(*version.Writer)) func([]kvs.Write) {
		return func([]kvs.Write) { f(newWriter(t, s)) }
	}
	t.Run("nothing else happened", func(t *testing.T) {
		s := newStage(t)
		w := newWriter(t, s)
		for _, o := range []version.WriteOptions{{}, {Level: kvs.SingleKey}, {Level: kvs.Strong}, {Create: true}} {
			key := kvs.Key(fmt.Sprint(o.Level, o.Create))
			s.loseNext(nil)
			before := s.batches.Load()
			v := putTo(t, w, key, "x", o)
			if got := holds(t, w, key, "x"); got.Revision != v.Revision || s.batches.Load() != before+1 {
				t.Fatalf("%s: revision %d, stored %d, %d writes", key, v.Revision, got.Revision, s.batches.Load()-before)
			}
		}
		s.loseNext(nil)
		if _, err := w.Delete(t.Context(), "lww false", version.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("others wrote over it", func(t *testing.T) {
		s := newStage(t)
		w := newWriter(t, s)
		s.loseNext(overwrite(t, s, "k", func(o *version.Writer) { putTo(t, o, "k", "later") }))
		putTo(t, w, "k", "mine")
		holds(t, w, "k", "later") // the last one wins, once

		s.loseNext(overwrite(t, s, "c", func(o *version.Writer) {
			if _, err := o.Get(t.Context(), "c", kvs.SingleKey); err != nil {
				t.Error(err)
			}
			putTo(t, o, "c", "instead", version.WriteOptions{Level: kvs.SingleKey})
		}))
		putTo(t, w, "c", "mine", version.WriteOptions{Level: kvs.SingleKey})
		holds(t, w, "c", "instead") // it was seen and replaced, and does not come back

		s.loseNext(overwrite(t, s, "n", func(o *version.Writer) {
			_, err := o.Update(t.Context(), "n", one, version.WriteOptions{})
			must(t, err)
		}))
		_, err := w.Update(t.Context(), "n", one, version.WriteOptions{})
		must(t, err)
		holds(t, w, "n", 2)

		// A strong write that others may have written over must not take effect twice: nobody can tell.
		s.loseNext(overwrite(t, s, "s", func(o *version.Writer) { putTo(t, o, "s", "later") }))
		_, err = w.Put(t.Context(), "s", value.MustOf("mine"), version.WriteOptions{Level: kvs.Strong})
		fails(t, err, fault.Unavailable)
		holds(t, w, "s", "later")

		// Nor where the key is not there as before: it was stored, and deleted.
		s.loseNext(overwrite(t, s, "d", func(o *version.Writer) {
			_, err := o.Delete(t.Context(), "d", version.WriteOptions{Level: kvs.Strong})
			must(t, err)
		}))
		_, err = w.Put(t.Context(), "d", value.MustOf("mine"), version.WriteOptions{Level: kvs.Strong})
		fails(t, err, fault.Unavailable)
		_, err = w.Get(t.Context(), "d", kvs.LWW)
		fails(t, err, fault.NotFound)
	})
	t.Run("others wrote although it was not stored", func(t *testing.T) {
		for _, there := range []bool{false, true} {
			s := newStage(t)
			w := newWriter(t, s)
			if there {
				putTo(t, w, "k", "before")
			}
			s.dropNext(overwrite(t, s, "k", func(o *version.Writer) { putTo(t, o, "k", "later") }))
			_, err := w.Put(t.Context(), "k", value.MustOf("mine"), version.WriteOptions{Level: kvs.Strong})
			fails(t, err, fault.Unavailable)
			holds(t, w, "k", "later")
			s.dropNext(nil) // nobody wrote: it is known not to be stored, and stored then
			putTo(t, w, "k", "mine", version.WriteOptions{Level: kvs.Strong})
			holds(t, w, "k", "mine")
		}
	})
	t.Run("it is stored late", func(t *testing.T) {
		for _, overwritten := range []bool{false, true} {
			s := newStage(t)
			w := newWriter(t, s)
			putTo(t, w, "k", "before")
			s.delayNext(overwrite(t, s, "k", func(o *version.Writer) {
				if overwritten {
					putTo(t, o, "k", "later")
				}
			}))
			_, err := w.Put(t.Context(), "k", value.MustOf("mine"), version.WriteOptions{Level: kvs.Strong})
			if overwritten {
				fails(t, err, fault.Unavailable)
				holds(t, w, "k", "later")
			} else {
				must(t, err)
				holds(t, w, "k", "mine")
			}
		}
	})
	t.Run("the store is away", func(t *testing.T) {
		s := newStage(t)
		w := newWriter(t, s)
		putTo(t, w, "k", 1)
		s.away.Store(true)
		for _, key := range []kvs.Key{"k", "unknown"} {
			_, err := w.Put(t.Context(), key, value.MustOf(2), version.WriteOptions{})
			fails(t, err, fault.Unavailable)
		}
		s.away.Store(false)
		putTo(t, w, "k", 3)
		holds(t, w, "k", 3)
	})
	t.Run("an operation that is made again", func(t *testing.T) {
		s := newStage(t)
		o := version.WriteOptions{ID: lattice.OpID{7}}
		for range 3 {
			v, err := newWriter(t, s).Update(t.Context(), "n", one, o)
			must(t, err)
			if got := must2(value.As[int](v.Value)); got != 1 {
				t.Fatalf("counted %d", got)
			}
		}
	})
}

// Nothing in the way, a write is one of its own; many at once are one batch, those of one key one write.
func TestWriterGroupCommit(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s)
	gate, entered := make(chan struct{}), make(chan int, 1000)
	s.mu.Lock()
	s.hold = func(writes []kvs.Write) { entered <- len(writes); <-gate }
	s.mu.Unlock()
	one := must2(lattice.ParseOp("add", "1"))
	var wg sync.WaitGroup
	for i := range 200 { // all in one lane: they share a tag
		wg.Go(func() {
			key := kvs.Key(fmt.Sprint("{x}", i%100))
			if _, err := w.Update(t.Context(), key, one, version.WriteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 16 {
		if n := <-entered; n != 1 {
			t.Errorf("a batch of %d while there was room", n)
		}
	}
	eventually(t, "the others wait", func() bool { return w.Queued() == 200-16 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Update(ctx, "{x}0", one, version.WriteOptions{})
	fails(t, err, fault.Cancelled)
	close(gate)
	wg.Wait()
	for i := range 100 {
		holds(t, w, kvs.Key(fmt.Sprint("{x}", i)), 2)
	}
	if n := s.largest.Load(); n < 16 {
		t.Errorf("the largest batch had %d writes", n)
	}
	if n := s.batches.Load(); n >= 200 {
		t.Errorf("200 increments took %d writes", n)
	}
}

func TestWriterCancelled(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s)
	putTo(t, w, "{x}0", 1)
	gate, entered := make(chan struct{}), make(chan int, 10)
	s.mu.Lock()
	s.hold = func([]kvs.Write) { entered <- 1; <-gate }
	s.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := w.Put(t.Context(), "{x}0", value.MustOf(2), version.WriteOptions{}); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	waited, closed := make(chan error, 1), make(chan error, 1)
	wg.Go(func() { // waits for the one under way, and is not made
		_, err := w.Put(ctx, "{x}0", value.MustOf("never"), version.WriteOptions{})
		waited <- err
	})
	eventually(t, "it waits", func() bool { return w.Queued() == 1 })
	cancel()
	fails(t, <-waited, fault.Cancelled)
	wg.Go(func() {
		_, err := w.Put(t.Context(), "{x}0", value.MustOf("never"), version.WriteOptions{})
		closed <- err
	})
	eventually(t, "it waits", func() bool { return w.Queued() == 1 })
	wg.Go(w.Close)
	fails(t, <-closed, fault.Cancelled)
	close(gate)
	wg.Wait()
	holds(t, newWriter(t, s), "{x}0", 2)
	_, err := w.Put(t.Context(), "{x}0", value.MustOf(3), version.WriteOptions{})
	fails(t, err, fault.Cancelled)
}

func TestWriterTypes(t *testing.T) {
	w := newWriter(t, newStage(t))
	putTo(t, w, "k", "text")
	_, err := w.Update(t.Context(), "k", must2(lattice.ParseOp("add", "1")), version.WriteOptions{})
	fails(t, err, fault.WrongType)
	for _, words := range [][]string{{"insert", "b"}, {"insert", "a"}, {"insert", "b"}, {"remove", "c"}} {
		_, err = w.Update(t.Context(), "set", must2(lattice.ParseOp(words...)), version.WriteOptions{})
		must(t, err)
	}
	holds(t, w, "set", []string{"a", "b"})
	_, err = w.Put(t.Context(), "set", value.MustOf(1), version.WriteOptions{Level: kvs.SingleKey})
	fails(t, err, fault.WrongType)
	big := lattice.Op{Kind: lattice.Insert, Arg: value.MustOf(make([]byte, 4096))} // too large to be remembered
	for range 3 {
		_, err = w.Update(t.Context(), "set", big, version.WriteOptions{})
		must(t, err)
	}
	if v, err := w.Get(t.Context(), "set", kvs.LWW); err != nil || len(must2(v.Value.Elements())) != 3 {
		t.Fatal(v, err)
	}
}

func TestShown(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s)
	_, err := w.Update(t.Context(), "n", must2(lattice.ParseOp("add", "3")), version.WriteOptions{})
	must(t, err)
	e, err := version.Shown(must2(s.Store.Get(t.Context(), "n")))
	must(t, err)
	if n := must2(value.As[int](e.Value)); n != 3 || e.Deleted {
		t.Fatalf("%+v", e)
	}
	if e, err = version.Shown(kvs.Entry{Key: "n", Deleted: true, Revision: 7}); err != nil || !e.Deleted || e.Revision != 7 {
		t.Fatalf("%+v %v", e, err)
	}
	_, err = version.Shown(kvs.Entry{Key: "n", Revision: 7, Meta: []byte{99}})
	fails(t, err, fault.Unsupported)
}

// Two Writers and a cache write the same keys at once, with answers lost; when all is quiet they agree.
func TestWritersAndCacheAgree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newStage(t)
		s.faulty(rapid.Float64Range(0, 0.3).Draw(r, "lost"), 0, rapid.Uint64().Draw(r, "seed"))
		c, err := cache.New(cache.Config{Store: s.Store, MaxBytes: cache.MinMaxBytes})
		if err != nil {
			r.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				r.Fatal(err)
			}
		}()
		skew := time.Duration(rapid.IntRange(-240, 240).Draw(r, "skew")) * time.Millisecond
		ws := []*version.Writer{newWriter(t, s), newWriter(t, s, off(2, skew))}
		keys := []kvs.Key{"a", "b"}
		steps := rapid.IntRange(1, 8).Draw(r, "steps")
		atOnce(3, func(i int) {
			for n := range steps {
				key, v := keys[n%2], value.MustOf(fmt.Sprint(i, "-", n))
				var err error
				switch {
				case i == 2:
					_, err = c.Main().Put(t.Context(), key, v)
				case n%4 == 3:
					_, err = ws[i].Delete(t.Context(), key, version.WriteOptions{})
				default:
					_, err = ws[i].Put(t.Context(), key, v, version.WriteOptions{})
				}
				if err != nil && !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
			}
		})
		s.faulty(0, 0, 0)
		for _, key := range keys {
			var got []string
			for _, w := range ws {
				v, err := w.Get(t.Context(), key, kvs.Strong)
				switch {
				case fault.Is(err, fault.NotFound):
					got = append(got, "none")
				case err != nil:
					r.Fatal(err)
				default:
					got = append(got, string(must2(v.Value.JSON())))
				}
			}
			eventually(t, "the cache has heard", func() bool {
				v, err := c.Main().Get(t.Context(), key)
				return err == nil && slices.Contains(got[:1], string(must2(v.JSON()))) || fault.Is(err, fault.NotFound) && got[0] == "none"
			})
			if got[0] != got[1] {
				r.Fatalf("%s: %q", key, got)
			}
		}
	})
}
