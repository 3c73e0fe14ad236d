package dag_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// TestGolden holds the encoding against the bytes of version 1, which every later release must still read and write.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "golden", "graph-v1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	b := dag.New("golden")
	counts := b.Map("counts", "count", b.Input("files"), "de", dag.Timeout(2_000_000_000))
	b.Output("sum", b.Reduce("sum", "merge", counts, dag.Initial(7), dag.Retries(3, 1_000_000, 2_000_000)))
	b.Output("counts", counts)
	b.Call("log", "log", counts)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got := dag.Encode(g); !bytes.Equal(got, want) {
		t.Errorf("encoded as\n%x\nwant\n%x", got, want)
	}
	decoded, err := dag.Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(decoded.YAML(), g.YAML()) {
		t.Errorf("decoded as\n%swant\n%s", decoded.YAML(), g.YAML())
	}
}

func TestDecodeRefuses(t *testing.T) {
	body := func(x any) []byte {
		b, err := cbor.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte{1, 'G'}, b...)
	}
	good := dag.Encode(dag.Single("f", 1))
	for _, c := range []struct {
		name string
		b    []byte
		code fault.Code
		want string
	}{
		{"nothing", nil, fault.InvalidDAG, "cut off"},
		{"one byte", []byte{1}, fault.InvalidDAG, "cut off"},
		{"a later version", append([]byte{2}, good[1:]...), fault.Unsupported, "encoding version 2: this node speaks 1"},
		{"another type", append([]byte{1, 'X'}, good[2:]...), fault.InvalidDAG, "is no graph"},
		{"truncated", good[:len(good)-1], fault.InvalidDAG, "does not decode"},
		{"trailing bytes", append(bytes.Clone(good), 0), fault.InvalidDAG, "does not decode"},
		{"too large", append(bytes.Clone(good), make([]byte, dag.MaxSize)...), fault.InvalidDAG, "at most 1048576"},
		{"not a map", body("graph"), fault.InvalidDAG, "does not decode"},
		{"an empty map", body(map[int]any{}), fault.InvalidDAG, "no nodes"},
		{"a key twice", append([]byte{1, 'G'}, 0xa2, 1, 0x61, 'a', 1, 0x61, 'b'), fault.InvalidDAG, "does not decode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := dag.Decode(c.b)
			if g != nil || !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s: …%s…", err, c.code, c.want)
			}
		})
	}
}

func TestDecodeIgnoresFieldsOfLaterReleases(t *testing.T) {
	good := dag.Encode(dag.Single("f", 1))
	var fields map[int]any
	if err := cbor.Unmarshal(good[2:], &fields); err != nil {
		t.Fatal(err)
	}
	fields[99] = []any{"new", cbor.Tag{Number: 7, Content: 1}}
	b, err := cbor.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	g, err := dag.Decode(append([]byte{1, 'G'}, b...))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dag.Encode(g), good) {
		t.Errorf("decoded as\n%s", g.YAML())
	}
}

func TestGraphInsideAnotherMessage(t *testing.T) {
	type message struct {
		Graph *dag.Graph `cbor:"1,keyasint"`
	}
	b, err := cbor.Marshal(message{diamond(t)})
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if err := cbor.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if dag.Hash(m.Graph) != dag.Hash(diamond(t)) || len(m.Graph.Sinks()) != 3 {
		t.Errorf("it came back as\n%s", m.Graph.YAML())
	}
	b, err = cbor.Marshal(message{&dag.Graph{Name: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := cbor.Unmarshal(b, &m); !fault.Is(err, fault.InvalidDAG) {
		t.Errorf("got %v, want a faulty graph to be refused", err)
	}
}

func TestHashTellsGraphsApart(t *testing.T) {
	seen := map[string]string{}
	for _, file := range []string{
		"name: d\nnodes: {n: {call: f}}\noutputs: {y: $n}",
		"name: e\nnodes: {n: {call: f}}\noutputs: {y: $n}",
		"name: d\nnodes: {m: {call: f}}\noutputs: {y: $m}",
		"name: d\nnodes: {n: {call: g}}\noutputs: {y: $n}",
		"name: d\nnodes: {n: {call: f, timeout: 1s}}\noutputs: {y: $n}",
		"name: d\nnodes: {n: {call: f, args: [1]}}\noutputs: {y: $n}",
		"name: d\nnodes: {n: {call: f, args: ['1']}}\noutputs: {y: $n}",
	} {
		g, err := dag.Parse([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[dag.Hash(g)]; other != "" {
			t.Errorf("one hash for\n%s\nand\n%s", file, other)
		}
		seen[dag.Hash(g)] = file
	}
}

// TestValidate breaks a good graph in every way in which a hostile or broken peer could, which the builder and the
// parser would not.
func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(g *dag.Graph)
		want  string
	}{
		{"a source below", func(g *dag.Graph) { g.Nodes[0].Args[0].From = -1 }, "node l (f): in DAG diamond: argument 1 names source -1, and there are 7"},
		{"a source far below", func(g *dag.Graph) { g.Nodes[0].Args[0].From = math.MinInt / 2 }, "names source"},
		{"the lowest source", func(g *dag.Graph) { g.Nodes[0].Args[0].From = math.MinInt }, "names source"},
		{"a source above", func(g *dag.Graph) { g.Nodes[0].Args[0].From = 7 }, "names source 7, and there are 7"},
		{"the highest source", func(g *dag.Graph) { g.Nodes[0].Args[0].From = math.MaxInt }, "names source"},
		{"a node of itself", func(g *dag.Graph) { g.Nodes[2].Args[0].From = 4 }, "argument 1 comes from node join, which does not stand before it"},
		{"a later node", func(g *dag.Graph) { g.Nodes[0].Args[0].From = 4 }, "argument 1 comes from node join, which does not stand before it"},
		{"an output below", func(g *dag.Graph) { g.Outputs[0].From = -1 }, `output "a" names source -1`},
		{"an output far below", func(g *dag.Graph) { g.Outputs[0].From = math.MinInt / 2 }, `output "a" names source`},
		{"an output above", func(g *dag.Graph) { g.Outputs[0].From = 7 }, `output "a" names source 7`},
		{"a kind", func(g *dag.Graph) { g.Nodes[0].Kind = 9 }, "kind 9 is none of call, map and reduce"},
		{"no kind", func(g *dag.Graph) { g.Nodes[0].Kind = 0 }, "kind 0 is none of call, map and reduce"},
		{"a map of nothing", func(g *dag.Graph) { g.Nodes[4].Kind = dag.Map }, "a map needs the list"},
		{"a reduce of much", func(g *dag.Graph) { g.Nodes[2].Kind = dag.Reduce }, "nothing else, got 3 arguments"},
		{"a map of a constant", func(g *dag.Graph) { g.Nodes[0].Kind, g.Nodes[0].Args = dag.Map, g.Nodes[0].Args[1:] }, "the list is a constant"},
		{"an empty constant", func(g *dag.Graph) { g.Nodes[0].Args[1].Const = &dag.Const{} }, "argument 2 is a constant that does not parse: an empty message"},
		{"a constant of no kind", func(g *dag.Graph) { g.Nodes[0].Args[1].Const = &dag.Const{Wire: []byte{99}} }, "argument 2 is a constant that does not parse"},
		{"a broken constant", func(g *dag.Graph) { g.Nodes[0].Args[1].Const = &dag.Const{Wire: []byte{3, 0x82}} }, "argument 2 is a constant that does not parse"},
		{"constant and source", func(g *dag.Graph) { g.Nodes[0].Args[1].From = 1 }, "argument 2 is a constant and a source at once"},
		{"a name", func(g *dag.Graph) { g.Nodes[0].Name = "*" }, "node #1 (f): in DAG diamond: node name \"*\""},
		{"a timeout", func(g *dag.Graph) { g.Nodes[0].Timeout = -1 }, "timeout -1ns is negative"},
		{"a cap", func(g *dag.Graph) { g.Nodes[0].Retry.Cap = -1 }, "neither may be negative"},
		{"too many inputs", func(g *dag.Graph) { g.Inputs = make([]string, dag.MaxNodes+1) }, "it has 10001 inputs"},
		{"too many outputs", func(g *dag.Graph) { g.Outputs = make([]dag.Output, dag.MaxNodes+1) }, "it has 10001 outputs"},
		{"too large", func(g *dag.Graph) {
			g.Nodes[0].Args[1].Const = &dag.Const{Wire: append([]byte{1}, make([]byte, dag.MaxSize)...)}
		}, "bytes encoded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := diamond(t)
			c.spoil(g)
			err := g.Validate()
			var e *fault.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
			if _, err := dag.Decode(dag.Encode(g)); err == nil {
				t.Error("it was decoded all the same")
			}
		})
	}
}

// routed has all that version 1 knows of joins, conditions and hedging.
func routed(t *testing.T) *dag.Graph {
	t.Helper()
	b := dag.New("routed")
	x := b.Input("x")
	fast, slow := b.Call("fast", "f", x, dag.Hedge(0.95)), b.Call("slow", "f", dag.When(x, dag.Field("a", "b").AtMost(1.5)), 7)
	first := b.Call("first", "g", "k", dag.Any(fast, slow), dag.OnlyIf(x, dag.Not(dag.Equals("no"))), dag.After(fast))
	all := dag.AnyOf(dag.Exists(), dag.AllOf(dag.Less(1), dag.Greater(2)), dag.NotEquals(nil), dag.AtLeast("t"))
	b.Output("y", b.Call("most", "h", dag.KOf(2, first, dag.When(fast, all), slow)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGoldenOfRoutes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "golden", "routed-v1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	g := routed(t)
	if got := dag.Encode(g); !bytes.Equal(got, want) {
		t.Errorf("encoded as\n%x\nwant\n%x", got, want)
	}
	decoded, err := dag.Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(decoded.YAML(), g.YAML()) || decoded.Requires != dag.Conditional|dag.Hedged {
		t.Errorf("decoded as\n%swant\n%s", decoded.YAML(), g.YAML())
	}
}

// TestDecodeRefusesWhatItCannotRun: a graph may need what only a later release knows of. To run it without would be to
// run something else.
func TestDecodeRefusesWhatItCannotRun(t *testing.T) {
	var fields map[int]any
	if err := cbor.Unmarshal(dag.Encode(dag.Single("f", 1))[2:], &fields); err != nil {
		t.Fatal(err)
	}
	fields[5] = 1 << 40
	b, err := cbor.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dag.Decode(append([]byte{1, 'G'}, b...)); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "upgrade it") {
		t.Errorf("got %v", err)
	}
}
