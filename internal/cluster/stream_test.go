package cluster_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
)

// stream registers a producer, a pipe and a consumer, and the DAG of the three; the producer yields 1 to n, and calls
// before for each.
func stream(t *testing.T, executors int, before func(c fn.Context, i int) error, read func(c fn.Context, x int) error) func() ([]int, []int, error) {
	ctx, c := start(t, cluster.Config{Executors: executors, Executor: cluster.ExecutorConfig{Slots: 2}})
	register(ctx, t, c, "count", client.Func(fn.Produce(func(c fn.Context, n int) fn.Stream[int] {
		return func(yield func(int, error) bool) {
			for i := 1; i <= n; i++ {
				if err := before(c, i); err != nil {
					yield(0, err)
					return
				}
				if !yield(i, nil) {
					return
				}
			}
		}
	})))
	register(ctx, t, c, "double", client.Func(fn.Pipe(func(_ fn.Context, xs fn.Stream[int]) fn.Stream[int] {
		return func(yield func(int, error) bool) {
			for x, err := range xs {
				if !yield(2*x, err) {
					return
				}
			}
		}
	})))
	register(ctx, t, c, "gather", client.Func(fn.Consume(func(c fn.Context, xs fn.Stream[int]) (out []int, err error) {
		for x, err := range xs {
			if err != nil {
				return nil, err
			}
			if err := read(c, x); err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	})))
	b := dag.New("stream")
	retry := dag.Retries(3, time.Millisecond)
	doubled := b.Call("double", "double", b.Call("count", "count", b.Input("n"), retry), retry)
	b.Output("gathered", b.Call("gather", "gather", doubled, retry))
	b.Output("doubled", doubled)
	registerDAG(ctx, t, c, b)
	return func() (gathered, doubled []int, err error) {
		out, err := c.Client.CallDAG(ctx, "stream", client.Inputs{"n": 4})
		if err != nil {
			return nil, nil, err
		}
		if gathered, err = client.Output[[]int](out, "gathered"); err != nil {
			return nil, nil, err
		}
		doubled, err = client.Output[[]int](out, "doubled")
		return gathered, doubled, err
	}
}

func wantStream(t *testing.T, run func() ([]int, []int, error)) {
	t.Helper()
	want := []int{2, 4, 6, 8}
	if gathered, doubled, err := run(); err != nil || !slices.Equal(gathered, want) || !slices.Equal(doubled, want) {
		t.Errorf("gathered %v, doubled %v, %v", gathered, doubled, err)
	}
}

// TestStreamsOverlap: the producer goes on only when the last consumer has its item. Three functions are under way at
// once, on two slots: who waits for an item has given its own back.
func TestStreamsOverlap(t *testing.T) {
	read := make(chan int, 1)
	wantStream(t, stream(t, 1, func(c fn.Context, i int) error {
		if i == 1 {
			return nil
		}
		select {
		case x := <-read:
			if x != 2*(i-1) {
				return fault.New(fault.Internal, "%d was read before %d was made", x, i)
			}
			return nil
		case <-c.Done():
			return c.Err()
		}
	}, func(_ fn.Context, x int) error {
		if x < 8 {
			read <- x
		}
		return nil
	}))
}

// TestStreamsAreLists: whatever the placement, everybody has all items.
func TestStreamsAreLists(t *testing.T) {
	nothing := func(fn.Context, int) error { return nil }
	wantStream(t, stream(t, 3, nothing, nothing))
}

// TestProducerFailsMidStream: producer and consumers are tried again, and nobody sees the items of both tries.
func TestProducerFailsMidStream(t *testing.T) {
	var failures, readings atomic.Int64
	read := make(chan struct{}, 64)
	wantStream(t, stream(t, 1, func(c fn.Context, i int) error {
		if i == 3 && failures.Load() < 2 {
			select { // until what came before has been read
			case <-read:
			case <-c.Done():
			}
			failures.Add(1)
			return fault.New(fault.Unavailable, "not now")
		}
		return nil
	}, func(fn.Context, int) error {
		readings.Add(1)
		read <- struct{}{}
		return nil
	}))
	if failures.Load() != 2 || readings.Load() <= 4 {
		t.Errorf("%d failures, %d items read", failures.Load(), readings.Load())
	}
}

// TestConsumerFailsMidStream: it begins again with the first item, whether or not the producer is done.
func TestConsumerFailsMidStream(t *testing.T) {
	var failures atomic.Int64
	wantStream(t, stream(t, 1, func(fn.Context, int) error { return nil }, func(_ fn.Context, x int) error {
		if x == 4 && failures.Add(1) <= 2 {
			return fault.New(fault.Unavailable, "not now")
		}
		return nil
	}))
}

// TestStreamFailsForGood: the error is the producer's.
func TestStreamFailsForGood(t *testing.T) {
	run := stream(t, 1, func(_ fn.Context, i int) error {
		if i == 3 {
			return fault.New(fault.InvalidArgument, "three is refused")
		}
		return nil
	}, func(fn.Context, int) error { return nil })
	if _, _, err := run(); !fault.Is(err, fault.InvalidArgument) || fault.From(err).Node != "count" {
		t.Errorf("got %v", err)
	}
}
