package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/profile/archive"
)

// TestConsumersLaunchLate: at first the consumer of a stream begins with its first item, and waits for each of the others. That
// waiting is not taken for its run time; and once it is known how long both take, the consumer begins so late that it has its
// items when it wants them, and ends as soon after the producer as before.
func TestConsumersLaunchLate(t *testing.T) {
	const (
		items = 20
		makes = 10 * time.Millisecond // an item
		reads = time.Millisecond
	)
	inWorld(t, "a", func(t *testing.T, w *world) {
		begun := make(chan time.Time, 100)
		w.on("a", "make", client.Func(fn.Produce(func(_ fn.Context, n int) fn.Stream[int] {
			return func(yield func(int, error) bool) {
				for i := range n {
					time.Sleep(makes) // of virtual time, here and below
					if !yield(i, nil) {
						return
					}
				}
			}
		})))
		w.on("a", "read", client.Func(fn.Consume(func(_ fn.Context, xs fn.Stream[int]) (out []int, err error) {
			begun <- time.Now()
			for x, err := range xs {
				if err != nil {
					return nil, err
				}
				time.Sleep(reads)
				out = append(out, x)
			}
			return out, nil
		})))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("r", "read", b.Call("m", "make", b.Input("x"))) })
		run := func() (after, took time.Duration) {
			t.Helper()
			time.Sleep(time.Second) // whatever the last run has left behind is over
			at := time.Now()
			f := call[[]int](w.ctx, w, items)
			xs, err := f.get()
			if err != nil || len(xs) != items || !slices.IsSorted(xs) {
				t.Fatalf("%v, %v", xs, err)
			}
			return (<-begun).Sub(at), f.took
		}
		const finish = items * makes
		for range 4 {
			if after, took := run(); after < makes || after > 2*makes || took < finish+reads || took > finish+2*makes {
				t.Fatalf("before anything is known it began after %v and ended after %v", after, took)
			}
		}
		for range 2 {
			if after, took := run(); after < finish-2*items*reads || after > finish || took < finish+reads || took > finish+2*makes {
				t.Errorf("it began after %v and ended after %v", after, took)
			}
		}
		time.Sleep(15 * time.Second) // what was learnt is stored every ten
		book, err := archive.Recall(w.ctx, w.join("reader").System)
		if err != nil {
			t.Fatal(err)
		}
		var took []time.Duration
		for _, v := range book.Versions() {
			took = append(took, time.Duration(book.Known(v).Predict(items).Took.Value))
		}
		slices.Sort(took)
		if len(took) != 2 || took[0] != items*reads || took[1] != finish {
			t.Errorf("the functions are known to take %v", took)
		}
	})
}
