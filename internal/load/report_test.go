package load

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// simulated makes a report in virtual time: a target whose calls take lognormal times, slower by the factor, of several
// rates, or a closed loop where there are none.
func simulated(t *testing.T, repeats int, cases map[string]float64, rates ...float64) *Report {
	t.Helper()
	out := NewReport("workloada", map[string]string{"recordcount": "100"}, "v0.0.0")
	if len(rates) == 0 {
		rates = []float64{0}
	}
	for _, name := range []string{"fast", "slow"} {
		factor, ok := cases[name]
		if !ok {
			continue
		}
		for _, rate := range rates {
			for repeat := range repeats {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(repeat), uint64(rate)))
					began := time.Now()
					f := newFake(t, nil)
					f.do = func(ctx context.Context, _ int, ops []Op) error {
						if at := time.Since(began); rate == 0 && at > 5*time.Second && at < 8*time.Second && name == "slow" {
							return fault.New(fault.Unreachable, "nobody there")
						}
						base := 400.0
						if ops[0].Kind == ycsb.Update {
							base = 1500
						}
						return takes(time.Duration(base*factor*math.Exp(0.4*r.NormFloat64())*1e3))(ctx, 0, nil)
					}
					run, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=100"), Target: f, Threads: 1, Rate: rate, Duration: 12 * time.Second, Seed: 3 + uint64(repeat), nap: time.Sleep})
					if err != nil {
						t.Fatal(err)
					}
					run.Target, run.Durability, run.Repeat = name, "durable", repeat
					run.Case = run.CaseName()
					out.Runs = append(out.Runs, run)
				})
			}
		}
	}
	return out
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := simulated(t, 1, map[string]float64{"fast": 1, "slow": 3}, 500, 1000).Table(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
	for _, want := range []string{"workload workloada", "fast/durable/t1/500ops", "from actual start", "UPDATE", "ALL", "the target rate was not met"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table says nothing of %q", want)
		}
	}
}

func TestReportRoundTrip(t *testing.T) {
	r := simulated(t, 1, map[string]float64{"fast": 1})
	path := filepath.Join(t.TempDir(), "result.json")
	if err := WriteFile(path, r.JSON); err != nil {
		t.Fatal(err)
	}
	got, err := ReadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := errors.Join(r.JSON(&a), got.JSON(&b)); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Error("what is read is not what was written")
	}
	if h := got.Runs[0].Op(All).Latency.histogram(); h == nil || h.TotalCount() != got.Runs[0].Ops {
		t.Error("the histogram is lost")
	}
	for text, code := range map[string]fault.Code{"{": fault.InvalidArgument, `{"schema":"squall.load/9"}`: fault.Unsupported} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadReport(path); !fault.Is(err, code) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ReadReport(path + "x"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestHDR(t *testing.T) {
	r := simulated(t, 1, map[string]float64{"fast": 1}, 500)
	var b bytes.Buffer
	if err := r.HDR(&b); err != nil {
		t.Fatal(err)
	}
	log := hdrhistogram.NewHistogramLogReader(&b)
	count := map[string]int64{}
	for {
		h, err := log.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		count[h.Tag()] = h.TotalCount()
	}
	run := r.Runs[0]
	for _, tag := range []string{":ALL", ":ALL:actual"} {
		if count[run.Case+tag] != run.Ops {
			t.Errorf("%s has %d of %d operations: %v", tag, count[run.Case+tag], run.Ops, count)
		}
	}
}

// full refuses what does not fit.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(b), nil
}

// TestDiskFull holds that a result which cannot be written is a clear error, and leaves what was there before.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	r := simulated(t, 1, map[string]float64{"fast": 1})
	if err := WriteFile(path, func(w io.Writer) error { _, err := io.WriteString(w, "before"); return err }); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, func(w io.Writer) error { return r.JSON(io.MultiWriter(w, &full{1000})) })
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); string(b) != "before" {
		t.Errorf("%q, %v", b, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if err := WriteFile(filepath.Join(path, "x"), r.JSON); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		if err := WriteFile("/dev/full", r.JSON); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no space left") {
			t.Error(err)
		}
	}
}

// TestPlots draws everything, into SQUALL_PLOTS where that is set, so that people can look at it.
func TestPlots(t *testing.T) {
	root := os.Getenv("SQUALL_PLOTS")
	if root == "" {
		root = t.TempDir()
	}
	both := map[string]float64{"fast": 1, "slow": 3}
	for name, tc := range map[string]struct {
		report *Report
		files  int
	}{
		"one":    {simulated(t, 1, map[string]float64{"fast": 1}), 4},
		"open":   {simulated(t, 1, map[string]float64{"fast": 1}, 1000), 4},
		"closed": {simulated(t, 2, both), 4},
		"rates":  {simulated(t, 1, both, 100, 200, 400, 600, 800, 1000), 6},
		"none":   {NewReport("x", nil, ""), 0},
	} {
		dir := filepath.Join(root, name)
		files, err := tc.report.Plots(dir)
		if err != nil || len(files) != tc.files {
			t.Errorf("%s: %v, %v", name, files, err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.Size() < 2000 {
				t.Errorf("%s: %v, %v", f, info, err)
			}
		}
	}
	if _, err := NewReport("x", nil, "").Plots("/dev/null/x"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
