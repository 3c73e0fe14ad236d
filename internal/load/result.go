package load

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// Run is what one run has measured. Its JSON is part of a Report's schema.
type Run struct {
	Case    string    `json:"case"` // names what was measured: runs of one case are repetitions
	Target  string    `json:"target"`
	Phase   string    `json:"phase"` // load or run
	Repeat  int       `json:"repeat"`
	Began   time.Time `json:"began"`
	Seed    uint64    `json:"seed"`
	Threads int       `json:"threads"`
	PerCall int       `json:"ops_per_call"`
	Loop    string    `json:"loop"` // closed or open
	Arrival string    `json:"arrival,omitempty"`

	Durability string `json:"durability,omitempty"`

	Seconds    float64 `json:"seconds"`
	Ops        int64   `json:"ops"`
	Errors     int64   `json:"errors"`
	Throughput float64 `json:"ops_per_second"`
	Offered    float64 `json:"offered_per_second,omitempty"` // the target rate of an open loop
	NotStarted int64   `json:"not_started,omitempty"`        // operations that were due, and that no worker was free for
	CPUPerOp   float64 `json:"cpu_us_per_op,omitempty"`      // of all processes that were named

	Operations []Operation `json:"operations"`
	Series     []Point     `json:"series"`
	Failures   []Failure   `json:"failures,omitempty"`
	Integrity  *Integrity  `json:"integrity,omitempty"`
	Partial    string      `json:"partial,omitempty"` // why the run did not come to its end
	Notes      []string    `json:"notes,omitempty"`
}

// Operation is what a run measured of one kind of operation.
type Operation struct {
	Name    string `json:"op"` // READ, …; ALL of all; CALL of calls that have several operations
	Ops     int64  `json:"ops"`
	Errors  int64  `json:"errors,omitempty"`
	Missing int64  `json:"missing,omitempty"` // reads that found nothing
	// Latency counts from the intended start in an open loop, from the actual one in a closed loop.
	Latency Latency `json:"latency"`
	// Service counts from the actual start; in an open loop only, where it differs.
	Service *Latency `json:"service,omitempty"`
}

// Latency sums up a histogram, in microseconds.
type Latency struct {
	Mean float64 `json:"mean_us"`
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P95  float64 `json:"p95_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
	// Hist is all of it, in nanoseconds: HdrHistogram's V2 encoding, compressed, base64.
	Hist string `json:"hdr"`

	hist *hdrhistogram.Histogram
}

// Failure is errors of one code.
type Failure struct {
	Code    fault.Code `json:"code"`
	Count   int64      `json:"count"`
	Example string     `json:"example"`
}

// All names all operations together.
const (
	All  = "ALL"
	Call = "CALL"
)

func latency(h *hdrhistogram.Histogram) Latency {
	l := Latency{
		Mean: h.Mean() / float64(time.Microsecond), Max: micros(h.Max()),
		P50: micros(h.ValueAtQuantile(50)), P90: micros(h.ValueAtQuantile(90)), P95: micros(h.ValueAtQuantile(95)),
		P99: micros(h.ValueAtQuantile(99)), P999: micros(h.ValueAtQuantile(99.9)), hist: h,
	}
	if b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
		l.Hist = string(b)
	}
	return l
}

// histogram is the latency's, decoded where it came from a file; nil where there is none.
func (l *Latency) histogram() *hdrhistogram.Histogram {
	if l.hist == nil && l.Hist != "" {
		l.hist, _ = hdrhistogram.Decode([]byte(l.Hist)) // one that cannot be read is not drawn
	}
	return l.hist
}

// Op finds an operation by its name; nil where the run has none.
func (r *Run) Op(name string) *Operation {
	for i := range r.Operations {
		if r.Operations[i].Name == name {
			return &r.Operations[i]
		}
	}
	return nil
}

// summary makes a Run of what was recorded.
func (r *runner) summary(total *recorder, fails failures, took time.Duration) *Run {
	out := &Run{
		Target: r.traits.Name, Durability: r.traits.Durability, Phase: "run", Began: r.measured.UTC(), Seed: r.Seed,
		Threads: r.Threads, PerCall: r.PerCall, Loop: "closed", Seconds: took.Seconds(), Series: r.series.finish(),
	}
	if r.Load {
		out.Phase = "load"
	}
	if r.Rate > 0 {
		out.Loop, out.Arrival = "open", r.Workload.Arrival.Kind
	}
	every, started := &opRecorder{service: newHistogram(), intended: newHistogram()}, 0
	for k, o := range total.ops {
		if o == nil {
			continue
		}
		started++
		out.Operations = append(out.Operations, r.operation(ycsb.Kind(k).String(), o))
		every.ops, every.errs, every.missing = every.ops+o.ops, every.errs+o.errs, every.missing+o.missing
		every.service.Merge(o.service)
		if o.intended != nil {
			every.intended.Merge(o.intended)
		}
	}
	out.Ops, out.Errors = every.ops, every.errs
	if took > 0 {
		out.Throughput = float64(out.Ops) / took.Seconds()
	}
	if started > 1 {
		out.Operations = append(out.Operations, r.operation(All, every))
	}
	if total.calls != nil {
		out.Operations = append(out.Operations, Operation{Name: Call, Ops: total.calls.TotalCount(), Latency: latency(total.calls)})
	}
	for _, code := range slices.Sorted(maps.Keys(fails)) {
		out.Failures = append(out.Failures, Failure{code, fails[code].count, fails[code].example})
	}
	slices.SortStableFunc(out.Failures, func(a, b Failure) int { return cmp.Compare(b.Count, a.Count) })
	if every.missing > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d reads found no record: load the records first, with the same recordcount and table", every.missing))
	}
	return out
}

func (r *runner) operation(name string, o *opRecorder) Operation {
	op := Operation{Name: name, Ops: o.ops, Errors: o.errs, Missing: o.missing, Latency: latency(o.service)}
	if r.Rate > 0 {
		service := op.Latency
		op.Latency, op.Service = latency(o.intended), &service
	}
	return op
}
