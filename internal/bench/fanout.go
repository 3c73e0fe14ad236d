package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
)

// Fanout is the suite of `squall bench fanout`: a Map over many items and a join of what they give, on a whole cluster in this
// process, against the sum of the work over the slots. The zero Fanout measures everything.
type Fanout struct {
	Options

	Work time.Duration // of each item, which holds a slot and no core; 0 is 1 ms
}

const (
	caseFanout      = "fanout"
	fanoutExecutors = 4
	fanoutSlots     = 16
	fanoutCalls     = 7
)

var (
	fanoutSizes   = []int{16, 1_000, 10_000}
	fanoutTargets = []Target{{Ratio: "fanout_10000_total_over_work", Limit: 1.5}}
)

// Run measures, and ends what it started.
func (o Fanout) Run(ctx context.Context) (*Report, error) {
	if o.Work == 0 {
		o.Work = time.Millisecond
	}
	if o.Work < 0 || o.Work > time.Minute {
		return nil, fault.New(fault.InvalidArgument, "items of %v: give a time up to a minute", o.Work)
	}
	return o.run(ctx, "fanout", []string{caseFanout}, fanoutTargets, func(ctx context.Context, s *suite) (err error) {
		s.report.Env["executors"], s.report.Env["slots_each"], s.report.Env["work"] = fanoutExecutors, fanoutSlots, o.Work.String()
		c, err := cluster.Start(ctx, cluster.Config{
			Executors: fanoutExecutors, Executor: cluster.ExecutorConfig{Slots: fanoutSlots}, NoWasm: true,
		})
		if err != nil {
			return err
		}
		defer func() {
			if e := c.Close(); err == nil {
				err = e
			}
		}()
		if err := registerFanout(ctx, c.Client, o.Work); err != nil {
			return err
		}
		for _, n := range fanoutSizes {
			if s.wants(numbered(caseFanout, n)) {
				if err := s.fanout(ctx, c.Client, n); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// span is when an item ran, in Unix nanoseconds.
type span struct{ Start, End int64 }

// spans is what the join makes of many.
type spans struct {
	Items       int
	First, Last int64 // starts
	Work        int64 // nanoseconds, summed
}

func registerFanout(ctx context.Context, c *client.Client, work time.Duration) error {
	if _, err := c.Register(ctx, "fanout-item", client.Native(func(c fn.Context, _ int) (span, error) {
		began := time.Now()
		t := time.NewTimer(work)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.Done():
			return span{}, c.Err()
		}
		return span{began.UnixNano(), time.Now().UnixNano()}, nil
	})); err != nil {
		return err
	}
	if _, err := c.Register(ctx, "fanout-join", client.Native(func(_ fn.Context, all []span) (spans, error) {
		if len(all) == 0 {
			return spans{}, nil
		}
		out := spans{Items: len(all), First: all[0].Start, Last: all[0].Start}
		for _, s := range all {
			out.First, out.Last = min(out.First, s.Start), max(out.Last, s.Start)
			out.Work += s.End - s.Start
		}
		return out, nil
	})); err != nil {
		return err
	}
	b := dag.New("fanout")
	b.Output("spans", b.Call("join", "fanout-join", b.Map("item", "fanout-item", b.Input("items"))))
	g, err := b.Build()
	if err == nil {
		_, err = c.RegisterDAG(ctx, g)
	}
	return err
}

// fanout measures runs over n items: how far apart their starts are, and the whole time against what the work takes on all slots.
func (s *suite) fanout(ctx context.Context, c *client.Client, n int) error {
	calls := s.size(fanoutCalls, 1)
	name := numbered(caseFanout, n)
	s.progress.Begin(name, calls)
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	var total, spread, over []float64
	for i := range calls + 1 {
		began := time.Now()
		out, err := c.CallDAG(ctx, "fanout", client.Inputs{"items": items})
		if err != nil {
			return err
		}
		took := time.Since(began)
		got, err := client.Output[spans](out, "spans")
		if err != nil {
			return err
		}
		if got.Items != n {
			return fault.New(fault.Internal, "%d of %d items came to the join", got.Items, n)
		}
		if i == 0 {
			continue // the first one reads the plan
		}
		total = append(total, took.Seconds()*1000)
		spread = append(spread, float64(got.Last-got.First)/1e6)
		over = append(over, took.Seconds()*1e9/(float64(got.Work)/min(float64(n), fanoutExecutors*fanoutSlots)))
		s.progress.Step(1)
	}
	for _, m := range []struct {
		metric, unit string
		of           []float64
	}{{"total", "ms", total}, {"spread of starts", "ms", spread}, {"total over work/slots", "times", over}} {
		slices.Sort(m.of)
		s.report.Rows = append(s.report.Rows, Row{
			Case: name, Metric: m.metric, Unit: m.unit, P50: m.of[len(m.of)/2], Max: m.of[len(m.of)-1], N: len(m.of),
		})
	}
	s.report.Ratios[fmt.Sprintf("fanout_%d_total_over_work", n)] = over[len(over)/2]
	return nil
}
