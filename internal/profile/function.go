package profile

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"
)

// MaxRuns is how many runs, and how many cold starts, a function's profile keeps.
const MaxRuns = 64

// least is how many runs a prediction must rest on before other runs are held against it.
const least = 4

// behind is how many runs the models that runs are held against may not have seen yet: to fit them for each would cost more
// than many functions take.
const behind = 16

// Run is one warm run of a function as it was observed.
type Run struct {
	At   int64         `cbor:"1,keyasint"` // when it ended, in µs since 1970; only its order matters
	In   int64         `cbor:"2,keyasint"` // bytes of all arguments
	Out  int64         `cbor:"3,keyasint"` // bytes of the result
	Took time.Duration `cbor:"4,keyasint"` // without cold start, queueing and transfers
}

// ColdStart is one start-up of an instance, until it could take its first call.
type ColdStart struct {
	At   int64         `cbor:"1,keyasint"`
	Took time.Duration `cbor:"2,keyasint"`
}

// Function is what is known of one version of a function. The zero Function knows nothing.
//
// Of the runs the recent ones are kept, evenly by size: when there are too many, the oldest goes of those whose input has
// the most frequent order of magnitude. So a thousand small runs do not make forgotten what a large one takes. Versions
// are immutable, so that what was observed long ago holds still.
type Function struct {
	runs  []Run       // by time
	cold  []ColdStart // by time
	slow  sketch      // of run time over what was predicted for its input
	since int         // runs that the models have not seen
	out   model
	took  model
}

// Observe adds a run. It is false for one that cannot have been: a negative size or time.
func (f *Function) Observe(r Run) bool {
	if r.In < 0 || r.Out < 0 || r.Took < 0 {
		return false
	}
	if len(f.runs) >= least {
		if f.since >= min(len(f.runs)/2, behind) {
			f.refresh()
		}
		f.slow.add((float64(r.Took) + 1) / (f.took.value(float64(r.In)) + 1))
	}
	f.runs = newest(append(f.runs, r))
	f.since++
	return true
}

// ObserveCold adds a cold start; false where its time is negative.
func (f *Function) ObserveCold(c ColdStart) bool {
	if c.Took < 0 {
		return false
	}
	f.cold = newestCold(append(f.cold, c))
	return true
}

// Prediction is what a run on an input of some size would be.
type Prediction struct {
	Out  Estimate // bytes of the result
	Took Estimate // nanoseconds of a warm run
	Cold Estimate // nanoseconds of a cold start
}

// Predict tells what a run on in bytes of arguments would be. It takes a millisecond after an Observe, and 1 µs
// otherwise.
func (f *Function) Predict(in int64) Prediction {
	f.refresh()
	x := float64(max(in, 0))
	return Prediction{Out: f.out.predict(x), Took: f.took.predict(x), Cold: f.coldStart()}
}

// Slow is the run time that a share q of the runs on in bytes stay below: past it a run is a straggler, worth a second
// try elsewhere. It is false while too few runs were seen to tell, fewer than 2/(1-q).
func (f *Function) Slow(in int64, q float64) (time.Duration, bool) {
	if q <= 0 || q >= 1 || f.slow.total < 2/(1-q) {
		return 0, false
	}
	f.refresh()
	return time.Duration(min(f.took.value(float64(max(in, 0)))*f.slow.quantile(q), math.MaxInt64/4)), true
}

// Runs is how many runs the predictions rest on.
func (f *Function) Runs() int { return len(f.runs) }

// Merge adds what another profile of the same function knows, of another executor. In either order the result is the
// same. What both have seen counts once in the predictions; in Slow it weighs double.
func (f *Function) Merge(other *Function) {
	f.runs = newest(slices.Concat(f.runs, other.runs))
	f.cold = newestCold(slices.Concat(f.cold, other.cold))
	f.slow.merge(&other.slow)
	f.since++
}

func (f *Function) refresh() {
	if f.since == 0 {
		return
	}
	in, out, took := make([]float64, len(f.runs)), make([]float64, len(f.runs)), make([]float64, len(f.runs))
	for i, r := range f.runs {
		in[i], out[i], took[i] = float64(r.In), float64(r.Out), float64(r.Took)
	}
	f.out, f.took, f.since = fit(in, out), fit(in, took), 0
}

// coldStart is the median cold start.
func (f *Function) coldStart() Estimate {
	zero, took := make([]float64, len(f.cold)), make([]float64, len(f.cold))
	for i, c := range f.cold {
		took[i] = float64(c.Took)
	}
	m := fit(zero, took)
	return m.predict(0)
}

// newest sorts runs, drops what is there twice, and then whatever there is too much of.
func newest(runs []Run) []Run {
	slices.SortFunc(runs, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.In, b.In), cmp.Compare(a.Out, b.Out), cmp.Compare(a.Took, b.Took))
	})
	runs = slices.Compact(runs)
	var count [65]int
	for _, r := range runs {
		count[bits.Len64(uint64(r.In))]++
	}
	for over := len(runs) - MaxRuns; over > 0; over-- {
		most := 0
		for k := range count {
			if count[k] > count[most] {
				most = k
			}
		}
		i := slices.IndexFunc(runs, func(r Run) bool { return bits.Len64(uint64(r.In)) == most })
		runs = slices.Delete(runs, i, i+1)
		count[most]--
	}
	return runs
}

func newestCold(cold []ColdStart) []ColdStart {
	slices.SortFunc(cold, func(a, b ColdStart) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Took, b.Took)) })
	cold = slices.Compact(cold)
	return cold[max(0, len(cold)-MaxRuns):]
}
