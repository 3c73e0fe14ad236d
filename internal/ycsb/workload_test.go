package ycsb_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// workload makes one of assignments.
func workload(t testing.TB, assignments ...string) *ycsb.Workload {
	t.Helper()
	w, err := parse(assignments...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func parse(assignments ...string) (*ycsb.Workload, error) {
	var p ycsb.Properties
	for _, a := range assignments {
		if err := p.Override(a); err != nil {
			return nil, err
		}
	}
	return ycsb.New(&p)
}

// TestMistakes holds what is said of mistakes: the property, and what to write.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		say  string // separated by spaces
		want []string
	}{
		{"", []string{"recordcount", "write recordcount=1000"}},
		{"recordcount=1000 recordcont=5", []string{"recordcont (-p)", "did you mean recordcount?"}},
		{"recordcount=1000 nonsense.name=5", []string{"nonsense.name", "no such property", "take it out"}},
		{"recordcount=ten", []string{"recordcount (-p)", `"ten" is no whole number`, "write one"}},
		{"recordcount=-5", []string{"recordcount", "-5 is out of range", "0 to"}},
		{"recordcount=1000 operationcount=-1", []string{"operationcount", "-1 is out of range"}},
		{"recordcount=1000 readproportion=much", []string{"readproportion", "no number"}},
		{"recordcount=1000 readproportion=NaN", []string{"readproportion", "no number"}},
		{"recordcount=1000 readproportion=2", []string{"readproportion", "0 to 1"}},
		{"recordcount=1000 readproportion=1", []string{"add up to 1.05", "readproportion=1", "updateproportion=0.05, which it is where nothing is said"}},
		{"recordcount=1000 readproportion=0.5 updateproportion=0.4", []string{"add up to 0.9, not to 1"}},
		{"recordcount=1000 requestdistribution=zipf", []string{"requestdistribution", `"zipf" is none`, "or zipfian"}},
		{"recordcount=1000 dataintegrity=yes", []string{"dataintegrity", "neither true nor false"}},
		{"recordcount=1000 fieldlengthdistribution=histogram", []string{"fieldlengthdistribution", "constant, or"}},
		{"recordcount=1000 insertstart=1000", []string{"insertstart", "leaves none"}},
		{"recordcount=1000 insertstart=10 insertcount=1000", []string{"insertcount", "write insertcount=990"}},
		{"recordcount=1000 minscanlength=9 maxscanlength=3", []string{"minscanlength", "9 is more than maxscanlength"}},
		{"recordcount=1000 fieldlength=268435456", []string{"fieldlength", "write fewer or shorter"}},
		{"recordcount=1000 threadcount=0", []string{"threadcount", "1 to 4096"}},
		{"recordcount=1000 squall.consistency=strongest", []string{"squall.consistency", "unknown consistency level"}},
		{"recordcount=1000 squall.ack=never", []string{"squall.ack", "cached, stored or durable"}},
		{"recordcount=1000 dag.length=3", []string{"dag.length", "write workload=dag too"}},
		{"workload=dag dag.shape=ring", []string{"dag.shape", "chain, or fanout, or diamond"}},
		{"workload=dag dag.stateproportion=1", []string{"dag.stateproportion", "no records"}},
		{"workload=dag dag.shape=diamond dag.width=1000 dag.length=1000", []string{"dag.width", "nodes"}},
		{"recordcount=1000 target=-1", []string{"target", "0 to"}},
		{"recordcount=1000 arrival=weekly", []string{"arrival", "constant, or poisson"}},
		{"recordcount=x threadcount=y foo=z", []string{"3 properties are wrong", "recordcount", "threadcount", "foo"}},
		{"workload=my.Own recordcount=1", []string{"workload", "core"}},
	} {
		_, err := parse(strings.Fields(tc.say)...)
		if !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v, want invalid_argument", tc.say, err)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nsays nothing of %q", tc.say, err, want)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	w := workload(t, "recordcount=50", "insertstart=10", "db=site.ycsb.BasicDB", "readallfields=false")
	if w.InsertCount != 40 || w.Threads != 1 || w.Mix[ycsb.Read] != 0.95 || w.Mix[ycsb.Update] != 0.05 || w.Record.Fields != 10 || w.DAG != nil {
		t.Errorf("%+v", w)
	}
	if strings.Join(w.Ignored, " ") != "db readallfields" {
		t.Errorf("ignored: %q", w.Ignored)
	}
}

// TestExamples holds that every file of examples/ycsb is a workload, with YCSB's own settings.
func TestExamples(t *testing.T) {
	dir := "../../examples/ycsb/workloads"
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	mixes := map[string]string{
		"workloada": "50 % READ, 50 % UPDATE", "workloadb": "95 % READ, 5 % UPDATE", "workloadc": "100 % READ",
		"workloadd": "95 % READ, 5 % INSERT", "workloade": "5 % INSERT, 95 % SCAN", "workloadf": "50 % READ, 50 % READ-MODIFY-WRITE",
		"workloadcounters": "60 % READ, 20 % UPDATE, 20 % COUNT",
		"dag-chain":        "100 % RUN", "dag-fanout": "100 % RUN", "dag-diamond": "100 % RUN",
	}
	if len(files) != len(mixes) {
		t.Errorf("%d files, want %d", len(files), len(mixes))
	}
	for _, f := range files {
		var p ycsb.Properties
		if err := p.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			t.Fatal(err)
		}
		w, err := ycsb.New(&p)
		if err != nil {
			t.Errorf("%s: %v", f.Name(), err)
			continue
		}
		if w.Mix.String() != mixes[f.Name()] || w.Records != 1000 || len(w.Ignored) > 0 {
			t.Errorf("%s: %v, %d records, ignored %q", f.Name(), w.Mix, w.Records, w.Ignored)
		}
	}
}
