package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/load"
)

const workloads = "../../examples/ycsb/workloads/"

// ycsbShell runs the command, without a shell's cluster.
func ycsbShell(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	isolate(t)
	var o, e bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &o, errs: &e}
	root := a.root()
	root.SetArgs(append([]string{"bench"}, args...))
	root.SetOut(&o)
	root.SetErr(&e)
	err = root.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// TestYCSBExamples runs every example against a store in memory, or, of DAGs, against nothing.
func TestYCSBExamples(t *testing.T) {
	files, err := os.ReadDir(workloads)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		target := "memory"
		if strings.HasPrefix(f.Name(), "dag-") {
			target = "null"
		}
		out, errs, err := ycsbShell(t, "ycsb", "-P", workloads+f.Name(), "-p", "recordcount=200", "--target", target, "--threads", "3", "--integrity")
		if err != nil || !strings.Contains(out, target) {
			t.Errorf("%s: %v\n%s%s", f.Name(), err, out, errs)
		}
	}
}

// TestLoadScript runs the standard set as README says, in very short, and beside whatever Redis there is.
func TestLoadScript(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("scripts/load is for bash")
	}
	results := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../../scripts/load/dev.sh")
	cmd.Env = append(os.Environ(), "GOFLAGS=", "SQUALL_CONFIG="+filepath.Join(results, "none"), "RESULTS="+results,
		"RECORDS=50", "DURATION=200ms", "WARMUP=0s", "THREADS=4", "RATE=20", "WORKLOADS=a counters", "DAGS=chain")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := map[string]bool{}
	for _, name := range []string{"workloada", "workloadcounters", "dag-chain"} {
		r, err := load.ReadReport(filepath.Join(results, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range r.Runs {
			seen[strings.SplitN(run.Case, "/", 2)[0]] = true
			if run.Ops == 0 || run.Errors > 0 || run.Integrity == nil || !run.Integrity.ReadBack || !run.Integrity.Sound() {
				t.Errorf("%s, %s: %d operations, failures %+v, integrity %+v", name, run.Case, run.Ops, run.Failures, run.Integrity)
			}
		}
	}
	for _, target := range []string{"squall", "functions", "http", "jetstream", "jetstream-blind"} {
		if !seen[target] {
			t.Errorf("%s was not measured", target)
		}
	}
}

func TestYCSBResults(t *testing.T) {
	dir := t.TempDir()
	args := []string{"ycsb", "-P", workloads + "workloada", "--target", "memory", "--target", "null:10", "--repeat", "3", "--ops-per-call", "1,5", "--seed", "4"}
	save := filepath.Join(dir, "a.json")
	out, errs, err := ycsbShell(t, append(args, "--save", save, "--hdr", filepath.Join(dir, "a.hdr"), "--plots", filepath.Join(dir, "plots"), "-o", "json")...)
	if err != nil {
		t.Fatal(err, errs)
	}
	var r load.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Schema != load.Schema || len(r.Runs) != 2+3*3 || r.Workload != "workloada" {
		t.Fatalf("%v, %d runs", err, len(r.Runs))
	}
	for _, name := range []string{"a.hdr", "plots/latency.png", "plots/latency.svg"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if out, _, err = ycsbShell(t, append(args, "-o", "hdr")...); err != nil || !strings.HasPrefix(out, "#[Histogram log format version 1.3]") {
		t.Errorf("%v\n%.200s", err, out)
	}
	for _, tc := range [][]string{{save, save}, {save}, {save, "--base", "null/none/k10/t1"}} {
		if out, _, err = ycsbShell(t, append([]string{"compare"}, tc...)...); err != nil || !strings.Contains(out, "ratio") {
			t.Errorf("%q: %v\n%s", tc, err, out)
		}
	}
	for _, form := range []string{"json", "jsonl"} {
		if out, _, err = ycsbShell(t, "compare", save, save, "-o", form); err != nil || !strings.Contains(out, `"within_noise"`) {
			t.Errorf("%s: %v\n%s", form, err, out)
		}
	}
	// A place that cannot be written to does not keep the table back.
	out, _, err = ycsbShell(t, append(args, "--save", filepath.Join(save, "x"))...)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(out, "memory/memory/t1") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestYCSBMistakes holds that each mistake is said, with the right code.
func TestYCSBMistakes(t *testing.T) {
	dir := t.TempDir()
	file := "-P" + workloads + "workloada"
	for _, tc := range []struct {
		args string
		code fault.Code
		says string
	}{
		{"ycsb", fault.InvalidArgument, "no workload"},
		{"ycsb -P " + dir + "/none", fault.NotFound, "workload file"},
		{"ycsb " + file + " -p recordcont=1", fault.InvalidArgument, "did you mean recordcount?"},
		{"ycsb " + file + " -p recordcount=many", fault.InvalidArgument, "no whole number"},
		{"ycsb " + file + " -p readproportion=0.6", fault.InvalidArgument, "add up to 1.1"},
		{"ycsb " + file + " -p nonsense", fault.InvalidArgument, "no property"},
		{"ycsb walk " + file, fault.InvalidArgument, `no phase "walk"`},
		{"ycsb " + file + " --target mars", fault.InvalidArgument, `no target "mars"`},
		{"ycsb " + file + " --target null:x", fault.InvalidArgument, "write null:100"},
		{"ycsb " + file + " --target null --threads 100000", fault.InvalidArgument, "100000 threads"},
		{"ycsb " + file + " --target null --rate -5", fault.InvalidArgument, "a rate of -5"},
		{"ycsb " + file + " --target null --open", fault.InvalidArgument, "needs a rate"},
		{"ycsb " + file + " --target null --closed --rate 5", fault.InvalidArgument, "contradicts"},
		{"ycsb " + file + " --target null -p operationcount=0", fault.InvalidArgument, "no end"},
		{"ycsb " + file + " --target null --pid x=999999999", fault.InvalidArgument, "process 999999999"},
		{"ycsb " + file + " --target null -o xml", fault.InvalidArgument, "no output form"},
		{"ycsb " + file + " --target redis --redis 127.0.0.1:1", fault.Unreachable, "redis at 127.0.0.1:1"},
		{"ycsb " + file + " --target squall -s nats://127.0.0.1:1", fault.Unreachable, "127.0.0.1:1"},
		{"ycsb " + file + " --target jetstream -s nats://127.0.0.1:1", fault.Unreachable, "127.0.0.1:1"},
		{"ycsb " + file + " --target http --http http://127.0.0.1:1", fault.Unreachable, "127.0.0.1:1"},
		{"compare " + dir + "/none", fault.NotFound, "result file"},
	} {
		_, _, err := ycsbShell(t, strings.Fields(tc.args)...)
		if !fault.Is(err, tc.code) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %s that says %q", tc.args, err, tc.code, tc.says)
		}
	}
}

// TestYCSBFunctions runs the targets of a cluster, with functions that this process's executor has.
func TestYCSBFunctions(t *testing.T) {
	isolate(t)
	s, err := squall.Open(t.Context(), squall.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.Register(t.Context(), "ycsb-Do-0", client.Func(load.Impls()["Do"])); err != nil {
		t.Fatal(err)
	}
	out, errs, err := ycsbShell(t, "ycsb", "-P", workloads+"workloada", "-p", "recordcount=50", "-p", "operationcount=200", "--threads", "4", "--integrity",
		"--target", "squall,functions:10,jetstream", "--executors", "0", "-s", s.URL())
	if err != nil {
		t.Fatal(err, errs)
	}
	for _, name := range []string{"squall/t4", "functions/cached/k10/t4", "jetstream/t4"} {
		if !strings.Contains(out, name) {
			t.Errorf("no case %s:\n%s", name, out)
		}
	}
	// An executor as the command starts it.
	config, err := json.Marshal(executorConfig{Settings: settings{Server: s.URL(), Namespace: "default"}, Functions: map[string]string{"ycsb-Step-9": "Step"}})
	if err != nil {
		t.Fatal(err)
	}
	var o bytes.Buffer
	if err := serveFunctions(t.Context(), bytes.NewReader(append(config, '\n')), &o); err != nil || o.String() != "ready\n" {
		t.Errorf("%v, %q", err, o.String())
	}
	if err := serveFunctions(t.Context(), strings.NewReader("{\n"), &o); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
}

// TestYCSBInterrupt holds that Ctrl-C, here --timeout, leaves what was measured.
// TestYCSBInterrupt presses Ctrl-C once a run is under way: what was measured until then is printed and saved. A time limit does
// the same.
func TestYCSBInterrupt(t *testing.T) {
	isolate(t)
	save := filepath.Join(t.TempDir(), "partial.json")
	var once sync.Once
	run := []string{"ycsb", "run", "-P", workloads + "workloadc", "--target", "null", "--rate", "100", "--duration", "1h", "--save", save}
	for _, tc := range []struct {
		args []string
		errs func(string) // hears what goes to stderr
		why  func(error) bool
	}{
		{run, func(line string) {
			if strings.Contains(line, ", run") { // from then on the signal is taken care of
				once.Do(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGINT) })
			}
		}, func(err error) bool { return errors.Is(err, context.Canceled) || fault.Is(err, fault.Cancelled) }},
		{append(run, "--timeout", "300ms"), func(string) {}, func(err error) bool {
			return errors.Is(err, context.DeadlineExceeded) || fault.Is(err, fault.DeadlineExceeded)
		}},
	} {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, errs: hearing(tc.errs)}
		root := a.root()
		root.SetArgs(append([]string{"bench"}, tc.args...))
		root.SetOut(&out)
		root.SetErr(a.errs)
		err := root.ExecuteContext(t.Context())
		if !tc.why(err) || !strings.Contains(out.String(), "partial: interrupted") {
			t.Errorf("%v\n%s", err, out.String())
		}
		r, err := load.ReadReport(save)
		if err != nil || len(r.Runs) != 1 || r.Runs[0].Partial != "interrupted" {
			t.Errorf("saved: %+v, %v", r, err)
		}
		_ = os.Remove(save)
	}
}

// hearing is a writer that only listens.
type hearing func(string)

func (h hearing) Write(b []byte) (int, error) {
	h(string(b))
	return len(b), nil
}
