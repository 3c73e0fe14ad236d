package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/cputime"
)

// load is one case of calls: a closed loop with so many outstanding.
type load struct {
	name        string
	outstanding int
	calls       int // measured; a few more come before, to warm up
	warm        int // how many more; 0 is a share of calls
	// procs are the processes that take part, by name, beside this one; their CPU time is the case's.
	procs map[string]*node
	// call makes one call and verifies its answer. It is called by outstanding workers, numbered from 0.
	call func(ctx context.Context, worker int) error

	hist    *hdrhistogram.Histogram // of nanoseconds
	medians []float64               // of the rounds, in nanoseconds
	wall    time.Duration
	cpu     map[string]time.Duration
	done    int
}

const (
	longestCall = time.Minute
	warmShare   = 10 // one call in so many goes before, to warm up
	minWarm     = 32
	maxWarm     = 2000
)

// interleave measures loads in rounds, each round a batch of every load, so that whatever else the machine does hits
// all alike. Every other round goes backwards.
func interleave(ctx context.Context, loads []*load, rounds int, p *Progress, what string) error {
	total := 0
	for _, l := range loads {
		l.hist = hdrhistogram.New(1, int64(longestCall), 3)
		l.cpu = map[string]time.Duration{}
		total += l.calls
	}
	p.Begin(what, total)
	for _, l := range loads {
		warm := l.warm
		if warm == 0 {
			warm = max(min(l.calls/warmShare, maxWarm), minWarm, l.outstanding)
		}
		if _, err := l.batch(ctx, warm); err != nil {
			return err
		}
	}
	order := slices.Clone(loads)
	for round := range rounds {
		for _, l := range order {
			n := (l.calls - l.done) / (rounds - round)
			if n == 0 {
				continue
			}
			if err := l.measure(ctx, n); err != nil {
				return err
			}
			p.Step(n)
		}
		slices.Reverse(order)
	}
	return nil
}

// measure is a batch that counts.
func (l *load) measure(ctx context.Context, n int) error {
	before := l.cpuTimes()
	began := time.Now()
	took, err := l.batch(ctx, n)
	if err != nil {
		return err
	}
	l.wall += time.Since(began)
	for name, t := range l.cpuTimes() {
		l.cpu[name] += t - before[name]
	}
	for _, t := range took {
		if err := l.hist.RecordValue(min(max(t, 1), int64(longestCall))); err != nil {
			return fault.New(fault.Internal, "case %s: %w", l.name, err)
		}
	}
	slices.Sort(took)
	l.medians = append(l.medians, float64(took[len(took)/2]))
	l.done += n
	return nil
}

// batch makes n calls and gives how many nanoseconds each took.
func (l *load) batch(ctx context.Context, n int) ([]int64, error) {
	took := make([]int64, n)
	var next atomic.Int64
	loop := func(ctx context.Context, worker int) error {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			began := time.Now()
			if err := l.call(ctx, worker); err != nil {
				return fault.New(fault.CodeOf(err), "case %s: %w", l.name, err)
			}
			took[i] = int64(time.Since(began))
		}
	}
	if l.outstanding == 1 {
		return took, loop(ctx, 0)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	for w := range l.outstanding {
		workers.Go(func() {
			if err := loop(ctx, w); err != nil {
				stop(err) // the first one counts
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, fault.From(err)
	}
	return took, nil
}

// cpuTimes are the CPU times of the case's processes.
func (l *load) cpuTimes() map[string]time.Duration {
	out := map[string]time.Duration{}
	if t, ok := cputime.Of(os.Getpid()); ok {
		out["client"] = t
	}
	for name, n := range l.procs {
		if t, ok := cputime.Of(n.pid()); ok {
			out[name] = t
		}
	}
	return out
}

// row reports a load that was measured.
func (l *load) row() Row {
	const perMicro = float64(time.Microsecond)
	r := Row{
		Case: l.name, Metric: "latency", Unit: "us", Out: l.outstanding, N: l.done, Ops: float64(l.done) / l.wall.Seconds(),
		P50: float64(l.hist.ValueAtQuantile(50)) / perMicro, P99: float64(l.hist.ValueAtQuantile(99)) / perMicro,
		Max: float64(l.hist.Max()) / perMicro,
	}
	for name, t := range l.cpu {
		if r.CPU == nil {
			r.CPU = map[string]float64{}
		}
		per := float64(t) / perMicro / float64(l.done)
		r.CPU[name] = per
		r.CPUPerOp += per
	}
	return r
}

var errWrongAnswer = errors.New("the answer is wrong")

// slope is by how much, in microseconds, a call grows with each element of a chain: the median over the rounds of the
// slope of the line through the round's medians. A slow round bends one line and moves the median of all little.
func slope(lengths []int, chain []*load) float64 {
	var slopes []float64
	for round := range chain[0].medians {
		var n, sx, sy, sxx, sxy float64
		for i, l := range chain {
			if round >= len(l.medians) {
				continue
			}
			x, y := float64(lengths[i]), l.medians[round]
			n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
		}
		if d := n*sxx - sx*sx; d != 0 {
			slopes = append(slopes, (n*sxy-sx*sy)/d)
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	return slopes[len(slopes)/2] / float64(time.Microsecond)
}
