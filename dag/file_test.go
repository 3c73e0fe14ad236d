package dag_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// TestFiles runs the scripts of testdata/file. Their one command is parse, which prints the graph as it is written
// back, or the code of the error and its faults, one a line.
func TestFiles(t *testing.T) {
	datadriven.Walk(t, "testdata/file", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "parse" {
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			g, err := dag.Parse([]byte(d.Input))
			if err != nil {
				return faultLines(err)
			}
			for what, file := range map[string][]byte{"YAML": g.YAML(), "JSON": g.JSON()} {
				again, err := dag.Parse(file)
				if err != nil || dag.Hash(again) != dag.Hash(g) {
					d.Fatalf(t, "written as %s it does not come back: %v\n%s", what, err, file)
				}
			}
			return string(g.YAML())
		})
	})
}

// faultLines is the error's code, and then each of its faults on a line.
func faultLines(err error) string {
	lines := []string{string(fault.CodeOf(err))}
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return fmt.Sprintf("%s\n%v\n", lines[0], err)
	}
	for _, e := range many.Unwrap() {
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestParseRefusesWhatIsTooLarge(t *testing.T) {
	_, err := dag.Parse(make([]byte, dag.MaxSize+1))
	if !fault.Is(err, fault.InvalidDAG) || !strings.Contains(err.Error(), "at most 1048576") {
		t.Errorf("got %v", err)
	}
}

func TestParseRefusesDeepNesting(t *testing.T) {
	for _, file := range []string{
		"name: d\nnodes:\n  n: {call: f, args: [" + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "]}\noutputs: {y: $n}",
		`{"name": "d", "nodes": {"n": {"call": "f", "args": [` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `]}}, "outputs": {"y": "$n"}}`,
	} {
		if _, err := dag.Parse([]byte(file)); err == nil || !strings.Contains(err.Error(), "nested more than") {
			t.Errorf("got %v", err)
		}
	}
}

func TestParseAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := range 60 {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i)
	}
	if _, err := dag.Parse([]byte(b.String())); err == nil || !strings.Contains(err.Error(), "anchors are not allowed") {
		t.Errorf("got %v", err)
	}
}

func TestParseLongCycle(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: d\nnodes:\n")
	for i := range dag.MaxNodes {
		fmt.Fprintf(&b, "  n%d: {call: f, args: [$n%d]}\n", i, (i+dag.MaxNodes-1)%dag.MaxNodes)
	}
	b.WriteString("outputs: {y: $n0}\n")
	_, err := dag.Parse([]byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "n0 → n1 → ") || !strings.Contains(err.Error(), "(9900 more) → n9950") {
		t.Errorf("got %v", err)
	}
}

func TestGraphAsJSONField(t *testing.T) {
	type message struct {
		Graph *dag.Graph `json:"graph"`
	}
	g := diamond(t)
	b, err := json.Marshal(message{g})
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if dag.Hash(m.Graph) != dag.Hash(g) || len(m.Graph.Sinks()) != len(g.Sinks()) {
		t.Errorf("it came back as %s", m.Graph.YAML())
	}
	if err := json.Unmarshal([]byte(`{"graph": {"name": "x"}}`), &m); !fault.Is(err, fault.InvalidDAG) {
		t.Errorf("got %v, want a faulty graph to be refused", err)
	}
}
