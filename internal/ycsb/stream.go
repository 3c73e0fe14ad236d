package ycsb

import (
	"math/rand/v2"
)

// Op is one operation.
type Op struct {
	Kind    Kind
	Record  int64    // its number; of Count the counter's, of Run the DAG's
	Length  int64    // of Scan: records
	Version Version  // of what is written; of Count and Run, what names the operation
	Access  []Access // of Run: what its nodes do to state; valid until the next operation
}

// Stream gives the operations of one worker, the same ones for the same seed, as far as no worker adds records meanwhile.
// Not safe for concurrent use.
type Stream struct {
	w       *Workload
	r       *rand.Rand
	keys    *chooser
	inserts *Inserts
	scan    lengths
	sum     Mix // of the proportions up to each kind
	dags    zipf
	access  []Access

	run    uint64
	worker int
	n      uint64
}

// Stream makes worker's of so many workers, from 0. run tells the versions of one run from those of others.
func (w *Workload) Stream(inserts *Inserts, seed, run uint64, worker, workers int) *Stream {
	s := &Stream{
		w: w, r: newRand(seed, uint64(worker)+1), inserts: inserts, scan: newLengths(w.Scan), run: run, worker: worker,
		keys: w.newChooser(inserts, worker, workers),
	}
	total := 0.0
	last := Kind(0)
	for k, p := range w.Mix {
		if total += p; p > 0 {
			last = Kind(k)
		}
		s.sum[k] = total
	}
	for k := last; k < Kinds; k++ {
		s.sum[k] = 2 // more than can be drawn: decimals may add up to a little less than 1
	}
	if w.DAG != nil {
		s.dags = newZipf(w.DAG.Functions, ZipfTheta)
	}
	return s
}

// Next draws the next operation into op.
func (s *Stream) Next(op *Op) {
	x := s.r.Float64()
	k := Kind(0)
	for x >= s.sum[k] {
		k++
	}
	s.n++
	*op = Op{Kind: k, Version: NewVersion(s.run, s.worker, s.n)}
	switch k {
	case Insert:
		op.Record = s.inserts.Next()
	case Count:
		op.Record = s.r.Int64N(s.w.Counters)
	case Run:
		op.Record = s.dags.next(s.r)
		s.draw(op)
	case Scan:
		op.Record = s.keys.next(s.r)
		op.Length = min(s.scan.next(s.r), s.inserts.Last()+1-op.Record)
	default:
		op.Record = s.keys.next(s.r)
	}
}

// Loader gives the inserts that load the records, each worker's every so many'th.
type Loader struct {
	next, end, step int64
	run             uint64
	worker          int
	n               uint64
}

// Loader makes worker's of so many workers, from 0.
func (w *Workload) Loader(run uint64, worker, workers int) *Loader {
	return &Loader{next: w.InsertStart + int64(worker), end: w.InsertStart + w.InsertCount, step: int64(workers), run: run, worker: worker}
}

// Next gives the next insert; false where there is none.
func (l *Loader) Next(op *Op) bool {
	if l.next >= l.end {
		return false
	}
	l.n++
	*op = Op{Kind: Insert, Record: l.next, Version: NewVersion(l.run, l.worker, l.n)}
	l.next += l.step
	return true
}
