package bench

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
)

// putting is a case that is being measured. What it writes is numbered, and a number's key and value follow from it, so
// that afterwards everybody knows what must be there.
type putting struct {
	name    string
	writers int
	writes  int
	rounds  int
	keys    int // that are written to, over and over; 0 gives each write a key of its own
	write   func(ctx context.Context, worker int, key string, v []byte) error
	batch   func(ctx context.Context, first, n int) (putTook, error) // in a function, instead
	read    func(ctx context.Context, keys []string) ([][]byte, error)

	next []int            // number of each writer's next write
	last []map[string]int // number of the last write of each key, by writer
	hist *hdrhistogram.Histogram
	ops  []float64 // a second, of each round
	done int

	batches, batched int64 // of write-back, and the writes in them
}

// putKey is the key of a number.
func putKey(name string, keys, i int) string {
	if keys > 0 {
		i %= keys
	}
	return name + "/" + strconv.Itoa(i)
}

func (p *putting) key(i int) string { return putKey(p.name, p.keys, i) }

// round is one of a case's.
func (p *putting) round(ctx context.Context, round int) error {
	return p.run(ctx, p.writes*(round+1)/p.rounds-p.done, true)
}

// run makes n writes.
func (p *putting) run(ctx context.Context, n int, counts bool) error {
	writes := p.fromHere
	if p.batch != nil {
		writes = p.inFunction
	}
	took, err := writes(ctx, n)
	if err != nil {
		return fault.New(fault.CodeOf(err), "case %s: %w", p.name, err)
	}
	if !counts {
		return nil
	}
	if n > 0 {
		p.ops = append(p.ops, float64(n)/time.Duration(took.Whole).Seconds())
	}
	p.done += n
	p.batches, p.batched = p.batches+took.Batches, p.batched+took.Batched
	for _, t := range took.Each {
		if err := p.hist.RecordValue(min(max(t, 1), int64(longestCall))); err != nil {
			return fault.New(fault.Internal, "case %s: %w", p.name, err)
		}
	}
	return nil
}

// fromHere has this process's writers make n writes.
func (p *putting) fromHere(ctx context.Context, n int) (putTook, error) {
	out := putTook{Each: make([]int64, n)}
	var drawn atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for w := range p.writers {
		g.Go(func() error {
			for {
				at := int(drawn.Add(1)) - 1
				if at >= n {
					return nil
				}
				i := p.next[w]
				key, v := p.key(i), cachedValue(i)
				began := time.Now()
				if err := p.write(ctx, w, key, v); err != nil {
					return err
				}
				out.Each[at] = int64(time.Since(began))
				p.next[w], p.last[w][key] = i+p.writers, i
			}
		})
	}
	err := g.Wait()
	out.Whole = int64(time.Since(began))
	return out, err
}

// inFunction has a function make n writes.
func (p *putting) inFunction(ctx context.Context, n int) (putTook, error) {
	first := p.next[0]
	took, err := p.batch(ctx, first, n)
	if err != nil {
		return took, err
	}
	for i := first; i < first+n; i++ {
		p.last[0][p.key(i)] = i
	}
	p.next[0] = first + n
	return took, nil
}

// verify reads every key that was written.
func (p *putting) verify(ctx context.Context) error {
	last := map[string]int{}
	for _, of := range p.last {
		maps.Copy(last, of) // each key is one writer's
	}
	keys := slices.Collect(maps.Keys(last))
	for part := range slices.Chunk(keys, 500) {
		values, err := p.read(ctx, part)
		if err != nil {
			return fault.New(fault.CodeOf(err), "case %s, to read what was written: %w", p.name, err)
		}
		for i, key := range part {
			if !bytes.Equal(values[i], cachedValue(last[key])) {
				return fault.New(fault.Internal, "case %s: %w: key %s does not hold what was written last", p.name, errWrongAnswer, key)
			}
		}
	}
	return nil
}

// rows reports the case. Its writes a second are those of the median round: whatever else the machine's disk does slows
// single rounds by much.
func (p *putting) rows() []Row {
	const perMicro = float64(time.Microsecond)
	metric := putMetric
	if p.hist.TotalCount() < int64(p.done) {
		metric = batchMetric
	}
	slices.Sort(p.ops)
	out := []Row{{
		Case: p.name, Metric: metric, Unit: "us", Out: p.writers, N: p.done, Ops: p.ops[len(p.ops)/2],
		P50: float64(p.hist.ValueAtQuantile(50)) / perMicro, P99: float64(p.hist.ValueAtQuantile(99)) / perMicro,
		Max: float64(p.hist.Max()) / perMicro,
	}}
	if p.batches > 0 {
		out = append(out, Row{Case: p.name, Metric: sizeMetric, Unit: "writes", P50: float64(p.batched) / float64(p.batches), N: int(p.batches)})
	}
	return out
}
