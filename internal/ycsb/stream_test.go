package ycsb_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/ycsb"
)

const draws = 200_000

// counts draws operations of one worker and counts the records.
func counts(t testing.TB, w *ycsb.Workload, inserts *ycsb.Inserts) []int {
	t.Helper()
	s := w.Stream(inserts, 5, 1, 0, 1)
	n := make([]int, inserts.Last()+1)
	var op ycsb.Op
	for range draws {
		s.Next(&op)
		if op.Record < 0 || op.Record >= int64(len(n)) {
			t.Fatalf("record %d of %d", op.Record, len(n))
		}
		n[op.Record]++
	}
	return n
}

// near holds a share of draws against its probability, up to chance.
func near(t *testing.T, what string, got int, p float64) {
	t.Helper()
	if math.Abs(float64(got)/draws-p) > 5*math.Sqrt(p*(1-p)/draws) {
		t.Errorf("%s: %d of %d, its probability is %.5f", what, got, draws, p)
	}
}

func sum(n []int) (s int) {
	for _, x := range n {
		s += x
	}
	return s
}

func TestUniform(t *testing.T) {
	for r, n := range counts(t, workload(t, "recordcount=20"), ycsb.NewInserts(20)) {
		near(t, fmt.Sprint("record ", r), n, 1./20)
	}
}

func TestScrambled(t *testing.T) {
	n := counts(t, workload(t, "recordcount=100", "requestdistribution=zipfian"), ycsb.NewInserts(100))
	// Rank 0 of 10^10 has 1/26.469 of the requests, and the ranks from some hundred on spread evenly over the records.
	order := slices.Clone(n)
	slices.Sort(order)
	if top := float64(order[99]) / draws; top < 1/26.469 || top > 1/26.469+0.02 {
		t.Errorf("the most popular record has %.4f of the requests", top)
	}
	if order[0] == 0 || order[0]*3 > draws/100*2+draws/100 {
		t.Errorf("the least popular record has %d of %d requests", order[0], draws)
	}
}

func TestLatest(t *testing.T) {
	w := workload(t, "recordcount=1000", "requestdistribution=latest")
	n := counts(t, w, ycsb.NewInserts(1000))
	zeta := 0.0
	for i := 1.; i <= 1000; i++ {
		zeta += math.Pow(i, -ycsb.ZipfTheta)
	}
	near(t, "the latest", n[999], 1/zeta)
	near(t, "the one before", n[998], math.Pow(2, -ycsb.ZipfTheta)/zeta)
	grown := ycsb.NewInserts(1001) // one more was added
	if n := counts(t, w, grown); n[1000] < n[999] {
		t.Errorf("what was added is read %d times, the one before %d times", n[1000], n[999])
	}
}

func TestHotspot(t *testing.T) {
	n := counts(t, workload(t, "recordcount=1000", "requestdistribution=hotspot", "hotspotdatafraction=0.1", "hotspotopnfraction=0.7"), ycsb.NewInserts(1000))
	near(t, "the hot tenth", sum(n[:100]), 0.7)
	near(t, "half of the hot tenth", sum(n[:50]), 0.35)
	near(t, "half of the others", sum(n[100:550]), 0.15)
}

func TestExponential(t *testing.T) {
	n := counts(t, workload(t, "recordcount=10000", "requestdistribution=exponential", "exponential.percentile=90", "exponential.frac=0.1"), ycsb.NewInserts(10_000))
	near(t, "the latest tenth", sum(n[9000:]), 0.9)
	near(t, "the tenth before", sum(n[8000:9000]), 0.09)
}

// TestSequential holds that workers together read every record equally often, in turns.
func TestSequential(t *testing.T) {
	const workers, rounds = 4, 3
	w := workload(t, "recordcount=103", "insertstart=3", "requestdistribution=sequential", "readproportion=1", "updateproportion=0")
	n := make([]int, 103)
	var op ycsb.Op
	for worker := range workers {
		s := w.Stream(ycsb.NewInserts(103), 1, 1, worker, workers)
		for range rounds * 100 / workers {
			s.Next(&op)
			n[op.Record]++
		}
	}
	for r, n := range n {
		if want := rounds; r >= 3 && n != want || r < 3 && n != 0 {
			t.Errorf("record %d came %d times", r, n)
		}
	}
}

func TestMix(t *testing.T) {
	w := workload(t, "recordcount=100", "readproportion=0.3", "updateproportion=0.25", "insertproportion=0.2", "scanproportion=0.1",
		"readmodifywriteproportion=0.1", "squall.countproportion=0.05", "maxscanlength=7", "requestdistribution=latest")
	inserts := ycsb.NewInserts(100)
	s := w.Stream(inserts, 1, 1, 0, 1)
	n := map[ycsb.Kind]int{}
	seen := map[ycsb.Version]bool{}
	var op ycsb.Op
	for range draws {
		s.Next(&op)
		n[op.Kind]++
		switch {
		case seen[op.Version]:
			t.Fatal("a version came twice")
		case op.Kind == ycsb.Insert:
			inserts.Done(op.Record)
		case op.Kind == ycsb.Scan && (op.Length < 1 || op.Length > 7 || op.Record+op.Length > inserts.Last()+1):
			t.Fatalf("scan of %d from %d of %d", op.Length, op.Record, inserts.Last()+1)
		case op.Kind == ycsb.Count && op.Record >= w.Counters, op.Kind != ycsb.Count && op.Record > inserts.Last():
			t.Fatalf("%v of %d", op.Kind, op.Record)
		}
		seen[op.Version] = true
	}
	for k, p := range w.Mix {
		near(t, ycsb.Kind(k).String(), n[ycsb.Kind(k)], p)
	}
}

// TestStreams holds that a seed gives the same operations again, and another worker other ones, for every distribution.
func TestStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.IntRange(1, 3000).Draw(t, "records")
		start := rapid.IntRange(0, records-1).Draw(t, "insertstart")
		w, err := parse(fmt.Sprint("recordcount=", records), fmt.Sprint("insertstart=", start), "operationcount=1000", "insertproportion=0.05", "readproportion=0.9",
			"requestdistribution="+rapid.SampledFrom([]string{"uniform", "zipfian", "latest", "hotspot", "exponential", "sequential"}).Draw(t, "distribution"))
		if err != nil {
			t.Fatal(err)
		}
		seed, workers := rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 5).Draw(t, "workers")
		draw := func() (out []ycsb.Op) {
			inserts := ycsb.NewInserts(int64(records))
			s := w.Stream(inserts, seed, 9, workers-1, workers)
			for range 200 {
				var op ycsb.Op
				s.Next(&op)
				if op.Record < int64(start) || op.Record > inserts.Last() && op.Kind != ycsb.Insert {
					t.Fatalf("%v of record %d, there are %d to %d", op.Kind, op.Record, start, inserts.Last())
				}
				if op.Kind == ycsb.Insert {
					inserts.Done(op.Record)
				}
				op.Access = nil
				out = append(out, op)
			}
			return out
		}
		a, b := draw(), draw()
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatal("one seed gives two sequences")
		}
	})
}

func TestLoader(t *testing.T) {
	w := workload(t, "recordcount=100", "insertstart=10", "insertcount=75")
	n := map[int64]int{}
	var op ycsb.Op
	for worker := range 4 {
		for l := w.Loader(1, worker, 4); l.Next(&op); {
			n[op.Record]++
		}
	}
	for r := int64(10); r < 85; r++ {
		if n[r] != 1 {
			t.Errorf("record %d is loaded %d times", r, n[r])
		}
	}
	if len(n) != 75 {
		t.Errorf("%d records are loaded", len(n))
	}
}

func TestInserts(t *testing.T) {
	in := ycsb.NewInserts(10)
	if a, b := in.Next(), in.Next(); a != 10 || b != 11 || in.Last() != 9 {
		t.Fatalf("%d, %d, last %d", a, b, in.Last())
	}
	in.Done(11)
	if in.Last() != 9 {
		t.Errorf("11 is in sight before 10: last %d", in.Last())
	}
	in.Done(10)
	if in.Last() != 11 {
		t.Errorf("last %d, want 11", in.Last())
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				in.Done(in.Next())
			}
		})
	}
	all.Wait()
	if in.Last() != 4011 {
		t.Errorf("last %d, want 4011", in.Last())
	}
}

func TestRuns(t *testing.T) {
	for shape, nodes := range map[string]int{"chain": 5, "fanout": 6, "diamond": 24} {
		w := workload(t, "workload=dag", "dag.shape="+shape, "dag.length=5", "dag.width=4", "dag.functions=10", "dag.stateproportion=0.5", "recordcount=100")
		if got := w.DAG.Nodes(); got != nodes {
			t.Errorf("%v has %d nodes, want %d", w.DAG, got, nodes)
		}
		s := w.Stream(ycsb.NewInserts(100), 1, 1, 0, 1)
		access, write := 0, 0
		var op ycsb.Op
		for range draws / nodes {
			s.Next(&op)
			if op.Kind != ycsb.Run || op.Record < 0 || op.Record >= 10 {
				t.Fatalf("%+v", op)
			}
			for _, a := range op.Access {
				access++
				if a.Write {
					write++
				}
			}
		}
		near(t, shape+", accesses", access*draws/(draws/nodes*nodes), 0.5)
		near(t, shape+", writes", write*draws/(draws/nodes*nodes), 0.25)
	}
}

func BenchmarkStream(b *testing.B) {
	for _, kind := range []string{"uniform", "zipfian", "latest", "hotspot", "exponential", "sequential"} {
		b.Run(kind, func(b *testing.B) {
			s := workload(b, "recordcount=100000", "requestdistribution="+kind).Stream(ycsb.NewInserts(100_000), 1, 1, 0, 1)
			b.ReportAllocs()
			var op ycsb.Op
			for b.Loop() {
				s.Next(&op)
			}
		})
	}
}
