package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// workload makes one of assignments.
func workload(t testing.TB, assignments ...string) *ycsb.Workload {
	t.Helper()
	var p ycsb.Properties
	for _, a := range assignments {
		if err := p.Override(a); err != nil {
			t.Fatal(err)
		}
	}
	w, err := ycsb.New(&p)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fake is a target whose calls are a func, beside a memory that it may use.
type fake struct {
	*Memory
	do func(ctx context.Context, worker int, ops []Op) error
}

type fakeWorker struct {
	*fake
	n int
}

func (f *fake) Worker(_ context.Context, n int) (Worker, error) { return fakeWorker{f, n}, nil }

func (w fakeWorker) Do(ctx context.Context, ops []Op) error { return w.do(ctx, w.n, ops) }

// newFake opens one; nil does what the memory does.
func newFake(t testing.TB, do func(ctx context.Context, worker int, ops []Op) error) *fake {
	f := &fake{Memory: NewMemory(), do: do}
	t.Cleanup(func() { f.Close() })
	return f
}

// takes is a call of so long.
func takes(d time.Duration) func(context.Context, int, []Op) error {
	return func(ctx context.Context, _ int, _ []Op) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// near allows for the resolution of histograms.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if got < want*0.99 || got > want*1.01 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=10"), Target: newFake(t, takes(10*time.Millisecond)), Threads: 4, Operations: 1000, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if out.Ops != 1000 || out.Errors != 0 || out.Loop != "closed" || out.Partial != "" || len(out.Notes) > 0 {
			t.Errorf("%+v", out)
		}
		near(t, "op/s", out.Throughput, 400)
		near(t, "p50", out.Op(All).Latency.P50, 10_000)
		if got := out.Op("READ").Ops + out.Op("UPDATE").Ops; got != 1000 {
			t.Errorf("%d operations by kind", got)
		}
		if len(out.Series) < 2 || out.Series[0].Ops < 390 || out.Series[0].P50 < 9900 {
			t.Errorf("series: %+v", out.Series)
		}
	})
}

func TestDurationAndWarmup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		out, err := Do(t.Context(), Config{
			Workload: workload(t, "recordcount=10"), Target: newFake(t, takes(10*time.Millisecond)), Threads: 2, Duration: 3 * time.Second, Warmup: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "operations", float64(out.Ops), 600)
		near(t, "op/s", out.Throughput, 200)
		near(t, "the run", time.Since(began).Seconds(), 5)
	})
}

// TestOpenLoop holds that a stall shows in the latency from the intended start of every operation that it delayed, and not
// in that from the actual one: what coordinated omission hides.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		stall := func(ctx context.Context, _ int, _ []Op) error {
			if at := time.Since(began); at > time.Second && at < 2*time.Second { // everything stands until the end of this second
				time.Sleep(2*time.Second - at)
			}
			return takes(time.Millisecond)(ctx, 0, nil)
		}
		out, err := Do(t.Context(), Config{
			Workload: workload(t, "recordcount=10", "arrival=constant", "readproportion=1", "updateproportion=0"),
			Target:   newFake(t, stall), Threads: 4, Rate: 1000, Duration: 4 * time.Second, nap: time.Sleep,
		})
		if err != nil {
			t.Fatal(err)
		}
		op := out.Op("READ")
		if out.Ops != 4000 || out.NotStarted != 0 || len(out.Notes) > 0 {
			t.Errorf("%d operations, %d not started, %q", out.Ops, out.NotStarted, out.Notes)
		}
		near(t, "p50", op.Latency.P50, 1000)
		near(t, "p90 from the actual start", op.Service.P90, 1000)
		if op.Latency.P90 < 500_000 || op.Latency.P90 > 1_000_000 {
			t.Errorf("p90 from the intended start is %v µs: a quarter of the operations waited up to a second", op.Latency.P90)
		}
		if out.Series[2].P99 < 500_000 {
			t.Errorf("the series says nothing of the stall: %+v", out.Series)
		}
	})
}

// TestRateNotMet holds that a run says plainly when it could not keep up.
func TestRateNotMet(t *testing.T) {
	for name, cfg := range map[string]Config{"time": {Duration: 5 * time.Second}, "count": {Operations: 1000}} {
		synctest.Test(t, func(t *testing.T) {
			cfg.Workload, cfg.Target = workload(t, "recordcount=10", "arrival=constant"), newFake(t, takes(10*time.Millisecond))
			cfg.Threads, cfg.Rate, cfg.nap = 1, 200, time.Sleep
			out, err := Do(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			near(t, name+": op/s", out.Throughput, 100)
			if len(out.Notes) != 1 || out.Op(All).Latency.P99 < 2e6 {
				t.Errorf("%s: %q, p99 %v µs", name, out.Notes, out.Op(All).Latency.P99)
			}
			t.Logf("%s: %s", name, out.Notes)
			if cfg.Duration > 0 {
				near(t, "not started", float64(out.NotStarted), 500)
			}
		})
	}
}

// TestErrors holds that errors in the middle stand in the series, and that the run goes on.
func TestErrors(t *testing.T) {
	down := func(began time.Time) func(context.Context, int, []Op) error {
		return func(ctx context.Context, _ int, ops []Op) error {
			if at := time.Since(began); at > 2*time.Second && at < 4*time.Second {
				return fault.New(fault.Unreachable, "nobody there")
			}
			return takes(time.Millisecond)(ctx, 0, ops)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		out, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=10"), Target: newFake(t, down(time.Now())), Threads: 2, Duration: 6 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if out.Errors == 0 || out.Errors > 100 || len(out.Failures) != 1 || out.Failures[0].Code != fault.Unreachable || out.Failures[0].Count != out.Errors {
			t.Errorf("%d errors: %+v; two workers that wait up to a second after each make few", out.Errors, out.Failures)
		}
		if p := out.Series; p[0].Ops < 1900 || p[3].Ops != 0 || p[2].Errors+p[3].Errors != out.Errors || p[5].Ops < 1900 {
			t.Errorf("%+v", p)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		out, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=10"), Target: newFake(t, down(time.Now())), Threads: 2, Duration: 6 * time.Second, StopOnError: true})
		if !fault.Is(err, fault.Unreachable) || out == nil || out.Partial == "" || out.Seconds > 3 || out.Ops < 1900 {
			t.Errorf("%v, %+v", err, out)
		}
	})
}

// TestInterrupt holds that an interrupted run gives what it has, and cancels the calls under way.
func TestInterrupt(t *testing.T) {
	for _, rate := range []float64{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			began := time.Now()
			time.AfterFunc(1500*time.Millisecond, cancel)
			call := func(ctx context.Context, _ int, _ []Op) error {
				if time.Since(began) > time.Second {
					<-ctx.Done() // hangs
				}
				return takes(time.Millisecond)(ctx, 0, nil)
			}
			out, err := Do(ctx, Config{Workload: workload(t, "recordcount=10", "dataintegrity=true"), Target: newFake(t, call), Threads: 3, Rate: rate, Duration: time.Minute, nap: time.Sleep})
			if err != nil {
				t.Fatal(err)
			}
			if out.Partial != "interrupted" || out.Ops < 60 || out.Errors != 0 || time.Since(began) > 2*time.Second || out.Integrity.ReadBack || out.Integrity.Why == "" {
				t.Errorf("%+v, %+v", out, out.Integrity)
			}
		})
	}
}

// TestHanging holds that calls which outlast the run are ended, and said.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=10"), Target: newFake(t, takes(time.Hour)), Threads: 2, Duration: time.Second})
		if err != nil || len(out.Notes) != 1 || out.Partial != "" {
			t.Errorf("%v, %+v", err, out)
		}
	})
}

// TestPerCall holds that calls have the operations asked for, all of them, and that their latency is the call's.
func TestPerCall(t *testing.T) {
	for _, rate := range []float64{0, 1e6} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			sizes := map[int]int{}
			f := newFake(t, nil)
			f.do = func(ctx context.Context, _ int, ops []Op) error {
				mu.Lock()
				sizes[len(ops)]++
				mu.Unlock()
				return takes(time.Millisecond)(ctx, 0, ops)
			}
			out, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=10"), Target: f, Threads: 3, PerCall: 10, Operations: 1004, Rate: rate, nap: time.Sleep})
			if err != nil {
				t.Fatal(err)
			}
			if out.Ops != 1004 || sizes[10] != 100 || sizes[4] != 1 || len(sizes) != 2 || out.Op(Call).Ops != 101 {
				t.Errorf("rate %v: %d operations, calls by size %v, %d calls", rate, out.Ops, sizes, out.Op(Call).Ops)
			}
			near(t, "p50 of calls", out.Op(Call).Latency.P50, 1000)
		})
	}
}

func TestLoadPhase(t *testing.T) {
	w := workload(t, "recordcount=1000", "operationcount=5000", "dataintegrity=true", "requestdistribution=zipfian", "insertproportion=0.05", "readproportion=0.5",
		"updateproportion=0.2", "readmodifywriteproportion=0.1", "scanproportion=0.05", "squall.countproportion=0.1", "maxscanlength=20")
	m := NewMemory()
	defer m.Close()
	loaded, err := Do(t.Context(), Config{Workload: w, Target: m, Load: true, Threads: 4})
	if err != nil || loaded.Ops != 1000 || loaded.Phase != "load" || loaded.Op("INSERT").Ops != 1000 {
		t.Fatalf("%+v, %v", loaded, err)
	}
	for repeat := range 2 { // counters go on from the first to the second
		out, err := Do(t.Context(), Config{Workload: w, Target: m, Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		i := out.Integrity
		if out.Ops != 5000 || !i.Sound() || !i.ReadBack || i.Missing != 0 || i.Reads < 2500 || i.Written < 100 || i.Counters < 50 {
			t.Errorf("run %d: %+v, %+v", repeat, out, i)
		}
	}
}

// TestNotLoaded holds that reading nothing is said.
func TestNotLoaded(t *testing.T) {
	m := NewMemory()
	defer m.Close()
	out, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=100", "readproportion=1", "updateproportion=0", "operationcount=50"), Target: m})
	if err != nil || out.Op("READ").Missing != 50 || len(out.Notes) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestBadConfig(t *testing.T) {
	w := workload(t, "recordcount=10")
	for _, cfg := range []Config{
		{}, {Threads: -1, Operations: 1}, {Threads: 5000, Operations: 1}, {PerCall: -1, Operations: 1}, {Rate: -1, Operations: 1}, {Duration: -1},
	} {
		cfg.Workload, cfg.Target = w, Null{}
		if _, err := Do(t.Context(), cfg); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	broken := errors.New("x")
	if _, err := Do(t.Context(), Config{Workload: w, Operations: 1, Target: noWorkers{Null{}, broken}}); !errors.Is(err, broken) {
		t.Errorf("no worker: %v", err)
	}
}

type noWorkers struct {
	Null
	err error
}

func (n noWorkers) Worker(context.Context, int) (Worker, error) { return nil, n.err }

// TestRepeats holds that a seed gives each worker the same operations again.
func TestRepeats(t *testing.T) {
	draw := func() string {
		var mu sync.Mutex
		sum := make([]uint64, 1)
		f := newFake(t, func(_ context.Context, n int, ops []Op) error {
			mu.Lock()
			defer mu.Unlock()
			sum[n] = sum[n]*31 + uint64(ops[0].Record) + uint64(ops[0].Kind)<<32
			return nil
		})
		cfg := Config{Workload: workload(t, "recordcount=1000"), Target: f, Threads: 1, Operations: 500, Seed: 7}
		if _, err := Do(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(sum)
	}
	if a, b := draw(), draw(); a != b {
		t.Error("one seed gives two sequences")
	}
}

// BenchmarkNull is what the generator reaches by itself, of all cores: with keys and values made.
func BenchmarkNull(b *testing.B) {
	for _, file := range []string{"workloada", "workloadb", "workloadc"} {
		b.Run(file, func(b *testing.B) {
			var p ycsb.Properties
			if err := p.ReadFile("../../examples/ycsb/workloads/" + file); err != nil {
				b.Fatal(err)
			}
			p.Set("recordcount", "100000", "")
			w, err := ycsb.New(&p)
			if err != nil {
				b.Fatal(err)
			}
			var ops, ns atomic.Int64
			for b.Loop() {
				out, err := Do(b.Context(), Config{Workload: w, Target: Null{}, Threads: 32, Operations: 1_000_000, Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				ops.Add(out.Ops)
				ns.Add(int64(out.Seconds * 1e9))
			}
			b.ReportMetric(float64(ops.Load())/time.Duration(ns.Load()).Seconds(), "op/s")
		})
	}
}
