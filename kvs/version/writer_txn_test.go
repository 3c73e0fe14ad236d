package version_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// number reads a key of a transaction as a number, 0 where it is not there.
func number(ctx context.Context, x *version.Txn, key kvs.Key) (int, error) {
	v, err := x.Get(ctx, key)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return value.As[int](v)
}

func change(ctx context.Context, x *version.Txn, key kvs.Key, by int) error {
	n, err := number(ctx, x, key)
	if err != nil {
		return err
	}
	return x.Put(ctx, key, value.MustOf(n+by))
}

func TestTxn(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s)
	ctx := t.Context()
	add := must2(lattice.ParseOp("add", "3"))
	must(t, w.Txn(ctx, func(x *version.Txn) error {
		for _, f := range []func() error{
			func() error { return x.Put(ctx, "a{1}", value.MustOf(1)) },
			func() error { return change(ctx, x, "a{1}", 4) }, // reads its own write
			func() error { return x.Put(ctx, "b{1}", value.MustOf(1)) },
			func() error { return x.Delete(ctx, "b{1}") },
			func() error { return x.Delete(ctx, "never{1}") },
			func() error { _, err := x.Update(ctx, "n{1}", add); return err },
		} {
			if err := f(); err != nil {
				return err
			}
		}
		if _, err := x.Get(ctx, "b{1}"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a deleted key: %v", err)
		}
		return nil
	}))
	holds(t, w, "a{1}", 5)
	holds(t, w, "n{1}", 3)
	if n := s.commits.Load(); n != 1 {
		t.Fatalf("%d commits", n)
	}
	// Nothing is written where f fails, or steps out of its shard.
	sad := errors.New("sad")
	if err := w.Txn(ctx, func(x *version.Txn) error { must(t, x.Put(ctx, "a{1}", value.MustOf(9))); return sad }); !errors.Is(err, sad) {
		t.Fatal(err)
	}
	fails(t, w.Txn(ctx, func(x *version.Txn) error {
		must(t, x.Put(ctx, "a{1}", value.MustOf(9)))
		return change(ctx, x, "a{2}", 1)
	}), fault.TxnCrossShard)
	fails(t, w.Txn(ctx, func(x *version.Txn) error { _, err := x.Update(ctx, "a{1}", add); return err }), fault.WrongType)
	holds(t, w, "a{1}", 5)
	var late *version.Txn
	must(t, w.Txn(ctx, func(x *version.Txn) error { late = x; _, err := x.Get(ctx, "a{1}"); return err }))
	fails(t, late.Put(ctx, "a{1}", value.MustOf(9)), fault.Cancelled)
	must(t, w.Txn(ctx, func(*version.Txn) error { return nil }))
}

// Money moves between accounts, with answers and requests lost: none appears, none is lost, and readers see whole moves.
func TestTxnTransfers(t *testing.T) {
	s := newStage(t)
	s.faulty(0.15, 0.1, 3)
	ws := []*version.Writer{newWriter(t, s), newWriter(t, s)}
	ctx := t.Context()
	const accounts = 4
	account := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("account", i%accounts, "{bank}")) }
	var moved [accounts]atomic.Int64
	var unsure atomic.Int64
	atOnce(8, func(i int) {
		for n := range 15 {
			from, to := i+n, i+n+1+n%3
			err := ws[i%2].Txn(ctx, func(x *version.Txn) error {
				if err := change(ctx, x, account(from), -1); err != nil {
					return err
				}
				return change(ctx, x, account(to), 1)
			})
			switch {
			case err == nil:
				moved[from%accounts].Add(-1)
				moved[to%accounts].Add(1)
			case fault.Is(err, fault.Unavailable):
				unsure.Add(1)
			case !fault.Is(err, fault.TxnConflict):
				t.Error(err)
			}
			sum := 0
			err = ws[(i+1)%2].Txn(ctx, func(x *version.Txn) error {
				sum = 0
				for a := range accounts {
					n, err := number(ctx, x, account(a))
					if err != nil {
						return err
					}
					sum += n
				}
				return nil
			})
			if err == nil && sum != 0 {
				t.Errorf("a transaction saw a sum of %d", sum)
			}
		}
	})
	s.faulty(0, 0, 0)
	for a := range accounts {
		n := 0
		must(t, ws[0].Txn(ctx, func(x *version.Txn) (err error) { n, err = number(ctx, x, account(a)); return err }))
		if d := int64(n) - moved[a].Load(); d < -unsure.Load() || d > unsure.Load() {
			t.Errorf("account %d has %d, and %d were moved there, %d unsure", a, n, moved[a].Load(), unsure.Load())
		}
	}
}

// Two transactions that read what the other writes: one of them begins again.
func TestTxnWriteSkew(t *testing.T) {
	s := newStage(t)
	w := newWriter(t, s)
	ctx := t.Context()
	putTo(t, w, "on1{duty}", 1)
	putTo(t, w, "on2{duty}", 1)
	var both sync.WaitGroup
	both.Add(2)
	leave := func(me kvs.Key) error {
		first := true
		return w.Txn(ctx, func(x *version.Txn) error {
			a, err1 := number(ctx, x, "on1{duty}")
			b, err2 := number(ctx, x, "on2{duty}")
			if first {
				first = false
				both.Done()
				both.Wait()
			}
			if err := errors.Join(err1, err2); err != nil || a+b < 2 {
				return err
			}
			return x.Put(ctx, me, value.MustOf(0))
		})
	}
	atOnce(2, func(i int) {
		if err := leave([]kvs.Key{"on1{duty}", "on2{duty}"}[i]); err != nil {
			t.Error(err)
		}
	})
	on := 0
	must(t, w.Txn(ctx, func(x *version.Txn) error {
		a, err1 := number(ctx, x, "on1{duty}")
		b, err2 := number(ctx, x, "on2{duty}")
		on = a + b
		return errors.Join(err1, err2)
	}))
	if on != 1 {
		t.Fatalf("%d on duty", on)
	}
}

func TestTxnLostAnswers(t *testing.T) {
	s := newStage(t)
	w, other := newWriter(t, s), newWriter(t, s)
	ctx := t.Context()
	calls := 0
	increment := func(x *version.Txn) error { calls++; return change(ctx, x, "n{1}", 1) }
	s.loseNext(nil)
	must(t, w.Txn(ctx, increment))
	holds(t, w, "n{1}", 1)
	// Written over by another transaction before the answer was lost: it remembers whose it came after.
	s.loseNext(func([]kvs.Write) {
		must(t, other.Txn(ctx, func(x *version.Txn) error { return change(ctx, x, "n{1}", 10) }))
	})
	must(t, w.Txn(ctx, increment))
	holds(t, w, "n{1}", 12)
	if calls != 2 {
		t.Fatalf("the function was called %d times", calls)
	}
	s.away.Store(true)
	fails(t, w.Txn(ctx, increment), fault.Unavailable)
	s.away.Store(false)
	// Others write all the time: it gives up in words.
	fails(t, w.Txn(ctx, func(x *version.Txn) error {
		if err := change(ctx, x, "n{1}", 1); err != nil {
			return err
		}
		putTo(t, other, "n{1}", 0)
		return nil
	}), fault.TxnConflict)
}
