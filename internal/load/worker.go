package load

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// worker makes the calls of one thread.
type worker struct {
	r      *runner
	n      int
	target Worker
	stream *ycsb.Stream
	loader *ycsb.Loader // of the load phase, instead
	rec    *recorder
	fails  failures

	ops  []Op
	bufs [][]byte // of ops' values
	left int64    // of the portion that was taken
	row  int      // calls in a row that failed

	now       time.Duration // when the call before ended, since the run began; 0 before the first
	last, due time.Duration // when the last call that was measured ended, and when it was due
}

func (r *runner) worker(ctx context.Context, n int) (*worker, error) {
	t, err := r.Target.Worker(ctx, n)
	if err != nil {
		return nil, err
	}
	w := &worker{r: r, n: n, target: t, fails: failures{}, ops: make([]Op, 0, r.PerCall), bufs: make([][]byte, r.PerCall)}
	if r.Load {
		w.loader = r.Workload.Loader(r.Version, n, r.Threads)
	} else {
		w.stream = r.Workload.Stream(r.inserts, r.Seed, r.Version, n, r.Threads)
	}
	return w, nil
}

// run makes calls until the run is over.
func (w *worker) run(ctx context.Context) {
	for !w.r.over.Load() {
		n, due := w.claim(ctx)
		if n = w.fill(n); n == 0 {
			return
		}
		start := w.r.elapsed()
		if w.r.schedule == nil {
			due = start
		}
		err := w.target.Do(ctx, w.ops)
		w.now = w.r.elapsed()
		if !w.settle(ctx, err, start, w.now) {
			return
		}
		w.rec.call(w.ops, due, start, w.now)
		if w.now >= w.r.Warmup {
			w.last, w.due = w.now, due
		}
		if w.r.schedule == nil && w.row > 0 && !w.backOff(ctx) {
			return
		}
	}
}

// claim gives how many operations the next call has, and when it was due in an open loop. It looks at no clock: in a closed
// loop the call before has just ended, and a clock read costs a tenth of what the generator does for an operation.
func (w *worker) claim(ctx context.Context) (n int, due time.Duration) {
	switch {
	case w.r.schedule != nil:
		due, n = w.r.schedule.claim(ctx, w.r.began)
		return n, due
	case w.loader != nil:
		return w.r.PerCall, due
	}
	switch {
	case w.r.end > 0 && w.now >= w.r.end:
		return 0, due
	case w.now < w.r.Warmup:
		return w.r.PerCall, due
	}
	if w.left == 0 {
		w.left = w.r.budget.take()
	}
	n = int(min(w.left, int64(w.r.PerCall)))
	w.left -= int64(n)
	return n, due
}

// fill makes the operations of a call, and gives how many there are.
func (w *worker) fill(n int) int {
	w.ops = w.ops[:n]
	for i := range w.ops {
		op := &w.ops[i]
		op.Outcome = Outcome{Data: op.Data[:0]}
		if w.loader == nil {
			w.stream.Next(&op.Op)
		} else if !w.loader.Next(&op.Op) {
			w.ops = w.ops[:i]
			break
		}
		if w.r.traits.OwnKeys {
			continue
		}
		wl := w.r.Workload
		switch op.Kind {
		case ycsb.Run:
		case ycsb.Count:
			op.Key = wl.CounterKey(op.Record)
		case ycsb.Scan:
			op.Keys = op.Keys[:0]
			for k := range op.Length {
				op.Keys = append(op.Keys, wl.Key(op.Record+k))
			}
		default:
			op.Key = wl.Key(op.Record)
		}
		if op.Kind.Writes() && !w.r.traits.OwnRecords {
			w.bufs[i] = wl.Record.Append(w.bufs[i][:0], op.Key, op.Version)
			op.Value = w.bufs[i]
		}
	}
	return len(w.ops)
}

// settle completes the outcomes of a call and books what it wrote; false ends the worker.
func (w *worker) settle(ctx context.Context, err error, start, end time.Duration) bool {
	var first error
	for i := range w.ops {
		op := &w.ops[i]
		if err != nil && op.Err == nil {
			op.Err = err
		}
		if op.Kind == ycsb.Insert && w.loader == nil {
			w.r.inserts.Done(op.Record)
		}
		if w.r.ledger != nil {
			w.book(op, int64(start), int64(end))
		}
		if op.Err != nil {
			if first == nil {
				first = op.Err
			}
			continue
		}
		w.verify(op)
	}
	if first == nil {
		w.row = 0
		return true
	}
	if ctx.Err() != nil {
		return false // cut off, not failed
	}
	w.row++
	if w.r.StopOnError {
		w.r.stop(first)
	}
	if end >= w.r.Warmup {
		for i := range w.ops {
			if w.ops[i].Err != nil {
				w.fails.add(w.ops[i].Err, 1)
			}
		}
	}
	return true
}

// book enters what an operation wrote.
func (w *worker) book(op *Op, start, end int64) {
	switch {
	case op.Kind == ycsb.Count:
		w.r.ledger.count(op.Record, op.Err == nil)
	case op.Kind == ycsb.Run:
		for _, a := range op.Access {
			if a.Write && op.Err == nil {
				w.r.ledger.ack(a.Record, op.Version, start, end)
			} else if a.Write {
				w.r.ledger.fail(a.Record, op.Version)
			}
		}
	case !op.Kind.Writes():
	case op.Err == nil:
		w.r.ledger.ack(op.Record, op.Version, start, end)
	default:
		w.r.ledger.fail(op.Record, op.Version)
	}
}

// verify looks at what was read.
func (w *worker) verify(op *Op) {
	for i, record := range op.Data {
		if record == nil {
			op.Missing++
			continue
		}
		if !w.r.Integrity {
			continue
		}
		key := op.Key
		if op.Kind == ycsb.Scan {
			key = op.Keys[i]
		}
		if _, err := ycsb.Check(key, record); err != nil {
			op.Damaged++
			w.fails.add(fault.New(damaged, "%w", err), 1)
		}
	}
}

// damaged is the code under which mismatches have their example.
const damaged = fault.Code("damaged_record")

// backOff waits after calls that failed, longer with each, so that a cluster that is away is not hammered and the series
// not filled with millions of refusals; false where the run ended meanwhile.
func (w *worker) backOff(ctx context.Context) bool {
	const first, most = time.Millisecond, time.Second
	d := min(first<<min(w.row-1, 10), most)
	if w.r.end > 0 {
		d = max(min(d, w.r.end-w.now), 0)
	}
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		w.now = w.r.elapsed()
		return true
	case <-ctx.Done():
		return false
	}
}
