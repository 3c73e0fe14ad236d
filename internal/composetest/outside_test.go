//go:build compose

package composetest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	ycsb "github.com/squall-faas/squall/internal/load"
)

// examples runs what examples/hello and examples/identifiers do, from outside: what are Go funcs of the program there is
// WebAssembly here, as a client has no executor.
func examples(t *testing.T, c *client.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for name, symbol := range map[string]string{"increment": "Increment", "square": "Square", "merge": "Merge", "top": "Top"} {
		if _, err := c.Register(ctx, name, client.GoPackage("tally", symbol)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Register(ctx, "identifiers-count", client.GoPackage("../../examples/identifiers/count", "Count")); err != nil {
		t.Fatal(err)
	}
	hello := dag.New("compose")
	hello.Output("y", hello.Call("sq", "square", hello.Call("inc", "increment", hello.Input("x"))))
	words := dag.New("identifiers")
	counts := words.Map("count", "identifiers-count", words.Input("files"))
	words.Output("top", words.Call("top", "top", words.Reduce("sum", "merge", counts)))
	for _, b := range []*dag.Builder{hello, words} {
		g, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.RegisterDAG(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	out, err := c.CallDAG(ctx, "compose", client.Inputs{"x": 2})
	if err != nil {
		t.Fatal(err)
	}
	if y, err := client.Output[int](out, "y"); err != nil || y != 9 {
		t.Errorf("square(increment(2)) = %d, %v", y, err)
	}

	files, err := filepath.Glob("../../examples/identifiers/testdata/*.go")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	var refs []client.Ref
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		key := "identifiers/" + filepath.Base(name)
		if err := c.Put(ctx, key, source); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, client.Ref(key))
	}
	run, err := c.StartDAG(ctx, "identifiers", client.Inputs{"files": refs}, client.Durable())
	if err != nil {
		t.Fatal(err)
	}
	if out, err = run.Get(ctx); err != nil {
		t.Fatal(err)
	}
	if top, err := client.Output[[]string](out, "top"); err != nil || !slices.Equal(top, []string{"T", "item", "items", "s", "q"}) {
		t.Errorf("the most frequent identifiers are %q, %v", top, err)
	}
}

// standardLoad runs scripts/load/compose.sh, in short, as people would, and looks at what it has written.
func standardLoad(t *testing.T, s *stack) {
	results := t.TempDir()
	old := s.env
	defer func() { s.env = old }()
	s.env = append(slices.Clone(old), "COMPOSE="+strings.Join(s.compose, " ")+" -p "+s.project, "RESULTS="+results,
		"RECORDS=200", "DURATION=1s", "THREADS=4", "RATE=20", "TARGETS=squall,http,functions:10")
	out, err := s.try(10*time.Minute, "scripts/load/compose.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "durable-R3") {
			t.Log(strings.TrimSpace(line))
		}
	}
	for _, w := range []string{"workloada", "workloadb", "workloadc", "workloadd", "workloade", "workloadf", "workloadcounters", "dag-chain", "dag-fanout", "dag-diamond"} {
		r, err := ycsb.ReadReport(filepath.Join(results, w+".json"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, run := range r.Runs {
			if run.Ops == 0 || run.Errors > 0 || run.Integrity == nil || !run.Integrity.Sound() || !run.Integrity.ReadBack || run.Partial != "" {
				t.Errorf("%s, %s: %d operations, failures %+v, integrity %+v, %s", w, run.Case, run.Ops, run.Failures, run.Integrity, run.Partial)
			}
		}
		if _, err := os.Stat(filepath.Join(results, w, "latency.svg")); err != nil {
			t.Error(err)
		}
	}
}

// portTaken holds that a port which somebody else has is said by its number, and that the variable of it helps.
func portTaken(t *testing.T, s *stack) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	other := *s
	other.t, other.project = t, s.project+"x"
	other.env = append(slices.Clone(s.env), "SQUALL_NATS_PORT="+port)
	defer other.do(3*time.Minute, "down", "-v", "-t", "5")
	up := append(other.compose[:len(other.compose):len(other.compose)], "-p", other.project, "up", "-d", "--no-build", "nats-1")
	out, err := other.try(3*time.Minute, up...)
	if err == nil || !strings.Contains(err.Error(), port) {
		t.Fatalf("with port %s taken: %v\n%s", port, err, out)
	}
	other.env = append(slices.Clone(s.env), "SQUALL_NATS_PORT="+freePorts(t, 1)[0])
	other.do(3*time.Minute, "up", "-d", "--no-build", "nats-1")
}
