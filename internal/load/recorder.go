package load

import (
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// What histograms hold: nanoseconds from finest to longest, to a thousandth. A longer latency counts as longest.
const (
	finest  = int64(64)
	longest = int64(10 * time.Minute)
	digits  = 3
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(finest, longest, digits) }

// recorder is what one worker has measured. Each worker has its own, so that recording shares nothing; live alone is read
// by others meanwhile.
type recorder struct {
	live live

	ops   [ycsb.Kinds]*opRecorder
	calls *hdrhistogram.Histogram // of calls, where they have several operations

	open     bool
	from     time.Duration // that measuring begins at; what ends before only warms up
	second   int           // that tick is of
	tick     *hdrhistogram.Histogram
	tickOps  int64
	tickErrs int64
	series   *series
}

// live is read by the progress while the worker counts, on a cache line of its own.
type live struct {
	ops, errs atomic.Int64
	_         [112]byte
}

type opRecorder struct {
	ops, errs, missing, damaged int64
	service, intended           *hdrhistogram.Histogram // intended only in an open loop
}

func newRecorder(s *series, from time.Duration, open bool) *recorder {
	return &recorder{series: s, from: from, open: open, tick: hdrhistogram.New(finest, longest, seriesDigits)}
}

func (r *recorder) of(k ycsb.Kind) *opRecorder {
	o := r.ops[k]
	if o == nil {
		o = &opRecorder{service: newHistogram()}
		if r.open {
			o.intended = newHistogram()
		}
		r.ops[k] = o
	}
	return o
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 1), longest)) // it is in range
}

// call records the operations of a call that began at start, was due at due and ended at end, all since the run began.
func (r *recorder) call(ops []Op, due, start, end time.Duration) {
	if end < r.from {
		return // warming up
	}
	if s := int((end - r.from) / time.Second); s != r.second {
		r.flush()
		r.second = s
	}
	took, waited := end-start, end-due
	errs := int64(0)
	for i := range ops {
		op := &ops[i]
		o := r.of(op.Kind)
		if op.Err != nil {
			o.errs++
			errs++
			continue
		}
		o.ops++
		o.missing, o.damaged = o.missing+int64(op.Missing), o.damaged+int64(op.Damaged)
		record(o.service, took)
		if r.open {
			record(o.intended, waited)
		}
		record(r.tick, waited)
	}
	if len(ops) > 1 {
		if r.calls == nil {
			r.calls = newHistogram()
		}
		record(r.calls, took)
	}
	good := int64(len(ops)) - errs
	r.tickOps, r.tickErrs = r.tickOps+good, r.tickErrs+errs
	r.live.ops.Store(r.live.ops.Load() + good) // one writer
	if errs > 0 {
		r.live.errs.Add(errs)
	}
}

// flush hands the last second to the series.
func (r *recorder) flush() {
	if r.tickOps == 0 && r.tickErrs == 0 {
		return
	}
	r.series.add(r.second, r.tick, r.tickOps, r.tickErrs)
	r.tick.Reset()
	r.tickOps, r.tickErrs = 0, 0
}

// merge adds another recorder's operations.
func (r *recorder) merge(o *recorder) {
	for k, from := range o.ops {
		if from == nil {
			continue
		}
		to := r.of(ycsb.Kind(k))
		to.ops, to.errs = to.ops+from.ops, to.errs+from.errs
		to.missing, to.damaged = to.missing+from.missing, to.damaged+from.damaged
		to.service.Merge(from.service)
		if r.open {
			to.intended.Merge(from.intended)
		}
	}
	if o.calls != nil {
		if r.calls == nil {
			r.calls = newHistogram()
		}
		r.calls.Merge(o.calls)
	}
}

// failures counts errors by code, and keeps an example of each. Not safe for concurrent use: each worker has one.
type failures map[fault.Code]*failure

type failure struct {
	count   int64
	example string
}

func (f failures) add(err error, n int64) {
	code := fault.CodeOf(err)
	if f[code] == nil {
		f[code] = &failure{example: err.Error()}
	}
	f[code].count += n
}
