package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/profile/archive"
)

var update = flag.Bool("update", false, "write the drawings that are held to be good anew")

// TestExplainDraws holds what is drawn of two DAGs against drawings that somebody has looked at.
func TestExplainDraws(t *testing.T) {
	sh := isolate(t)
	dir := filepath.Join("testdata", "explain")
	for _, name := range []string{"photo", "identifiers"} {
		svg := filepath.Join(sh.dir, name+".svg")
		sh.ok("dag", "explain", "-f", filepath.Join(dir, name+".yaml"), "--fleet", filepath.Join(dir, "fleet.yaml"), "--svg", svg)
		got, err := os.ReadFile(svg)
		sh.check(err)
		for d := xml.NewDecoder(bytes.NewReader(got)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s is not XML: %v", name, err)
			}
		}
		golden := filepath.Join(dir, name+".svg")
		if *update {
			sh.check(os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		sh.check(err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s is drawn other than before: look at it, and run the test with -update if it is good\n%s", name, got)
		}
	}
}

// TestExplain: what is printed of a file's DAG, with and without a fleet; no cluster is needed.
func TestExplain(t *testing.T) {
	sh := isolate(t)
	dir := filepath.Join("testdata", "explain")
	file, fleet := filepath.Join(dir, "identifiers.yaml"), filepath.Join(dir, "fleet.yaml")
	out := sh.ok("dag", "explain", "-f", file)
	for _, want := range []string{"identifiers, best in latency", "every plan was weighed", "count → sum", "INSTEAD", "RUNNER-UP"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	var x struct {
		Latency int64 `json:"latency_ns"`
		Nodes   []struct{ Where map[string]int }
		Edges   []struct {
			From, To, Path, Pattern string
			Alternatives            []struct{ Path, Refused string }
		}
		Runners []struct {
			Latency int64 `json:"latency_ns"`
		} `json:"runners_up"`
	}
	sh.check(json.Unmarshal([]byte(sh.ok("dag", "explain", "-f", file, "--fleet", fleet, "-o", "json", "--runners", "2")), &x))
	if len(x.Nodes) != 3 || len(x.Edges) != 3 || len(x.Edges[1].Alternatives) != 4 || x.Edges[1].Alternatives[0].Path != x.Edges[1].Path || len(x.Runners) != 2 {
		t.Errorf("%+v", x)
	}
	for _, r := range x.Runners {
		if r.Latency < x.Latency {
			t.Errorf("a runner-up takes %d ns, the best %d", r.Latency, x.Latency)
		}
	}

	sh.fails(2, "either the NAME", "dag", "explain")
	sh.fails(2, "either the NAME", "dag", "explain", "words", "-f", file)
	sh.fails(2, "no objective", "dag", "explain", "-f", file, "--objective", "fame")
	sh.fails(2, "no such file", "dag", "explain", "-f", file, "--fleet", "nowhere.yaml")
	for text, want := range map[string]string{
		"executers: []":                                          "executers",
		"executors: [{name: a}, {name: a}]":                      "two executors",
		"executors: [{name: a, nic: fast}]":                      "no size",
		"executors: [{name: a}]\nlinks: [{from: a, to: b}]":      "not both are executors",
		"executors: [{name: a}]\ninputs: {file: {bytes: 1}}":     "has no input",
		"executors: [{name: a}]\ninputs: {files: {bytes: -1}}":   "no size",
		"executors: [{name: a, slots: -1}]":                      "at least one slot",
		"executors: [{name: a}]\npatterns: {top: {0: diagonal}}": "the patterns are",
		"executors: [{name: a, lacks: [top]}]":                   "none of the 1 executors can run top",
	} {
		code := 2
		if strings.HasPrefix(want, "none") {
			code = 4
		}
		sh.fails(code, want, "dag", "explain", "-f", file, "--fleet", sh.file("fleet.yaml", text))
	}
	sh.fails(4, "no executor", "dag", "explain", "-f", file, "--fleet", sh.file("fleet.yaml", "executors: []"))
	sh.fails(2, "drawing", "dag", "explain", "-f", file, "--svg", filepath.Join(sh.dir, "no", "where.svg"))
}

// TestExplainRegistered plans a DAG of a cluster on the executors that are up.
func TestExplainRegistered(t *testing.T) {
	sh := open(t)
	sh.ok("dag", "put", sh.file("compose.yaml", composeFile))
	x := sh.json("dag", "explain", "compose")
	nodes := x["nodes"].([]any)
	if x["dag"] != "compose" || len(nodes) != 2 || x["exact"] != true {
		t.Errorf("%v", x)
	}
	if out := sh.ok("dag", "explain", "compose"); !strings.Contains(out, "inc → sq") || !strings.Contains(out, "local") {
		t.Errorf("%s", out)
	}
	sh.fails(1, "unknown_dag", "dag", "explain", "nope")
}

// TestExplainLearnt: what executors have learnt is what is planned with; a fleet's file has the last word.
func TestExplainLearnt(t *testing.T) {
	sh := open(t)
	sh.ok("dag", "put", sh.file("compose.yaml", composeFile))
	type view struct {
		Latency int64 `json:"latency_ns"`
		Nodes   []struct {
			Function, From string
			Runs           int
		}
		Assumed []string
	}
	explain := func(args ...string) (v view) {
		t.Helper()
		sh.check(json.Unmarshal([]byte(sh.ok(append([]string{"dag", "explain", "compose", "-o", "json"}, args...)...)), &v))
		return v
	}
	before := explain()
	if n := before.Nodes; len(n) != 2 || n[0].From != "assumed" || n[1].From != "assumed" || len(before.Assumed) != 2 {
		t.Errorf("nothing is known, and it says %+v", before)
	}

	ctx := t.Context()
	b, err := backbone.Dial(ctx, backbone.Options{Namespace: "default", Conn: natsconn.Options{URL: sh.url, Name: "teacher"}})
	sh.check(err)
	defer b.Close()
	c, err := client.Over(b, nil, nil)
	sh.check(err)
	defer c.Close()
	_, functions, err := c.Profiles(ctx, "compose")
	if err != nil || len(functions) != 2 || functions[0].Name != "increment" {
		t.Fatalf("%+v, %v", functions, err)
	}
	var book profile.Book
	for i := range int64(7) {
		book.Function(functions[0].Version).Observe(profile.Run{At: i, In: 2, Out: 2, Took: 3 * time.Second})
	}
	book.Function("somebody else's").Observe(profile.Run{At: 1, Took: time.Hour})
	sh.check(archive.Keep(ctx, b.System, "teacher", book.Encode()))
	known, _, err := c.Profiles(ctx, "compose")
	if err != nil || len(known.Versions()) != 1 {
		t.Errorf("%v, %v", known.Versions(), err)
	}

	v := explain()
	if n := v.Nodes; n[0].From != "learnt" || n[0].Runs != 7 || n[1].From != "assumed" {
		t.Errorf("%+v", n)
	}
	if took := time.Duration(v.Latency); took < 3*time.Second || took > 4*time.Second || time.Duration(before.Latency) > time.Second {
		t.Errorf("it would take %v, and %v before anything was known", took, time.Duration(before.Latency))
	}
	if out := sh.ok("dag", "explain", "compose"); !strings.Contains(out, "7 runs") || !strings.Contains(out, "Assumed: that a call of square on") || !strings.Contains(out, "that input x has") {
		t.Errorf("%s", out)
	}
	v = explain("--fleet", sh.file("fleet.yaml", "functions: {increment: {took: 1ms}, square: {took: 1ms}}\ninputs: {x: {bytes: 2}}\n"))
	if n := v.Nodes; n[0].From != "file" || n[1].From != "file" || time.Duration(v.Latency) > time.Second || len(v.Assumed) != 0 {
		t.Errorf("%+v", v)
	}
	text := strings.Join(explain("--fleet", sh.file("two.yaml", "executors: [{name: a}, {name: b}]\n")).Assumed, "; ")
	for _, want := range []string{"2 of 2 ways between executors", "that the store takes", "that a message goes at"} {
		if !strings.Contains(text, want) {
			t.Errorf("of two executors it assumes %s, and not %q", text, want)
		}
	}
	text = strings.Join(explain("--fleet", sh.file("two.yaml", `executors: [{name: a}, {name: b}]
links: [{from: a, to: b, bandwidth: 1000000, latency: 1ms}]
store: {write: 1MiB, read: 1MiB}
bus: {bandwidth: 1MiB, most: 64KiB}
`)).Assumed, "; ")
	if !strings.Contains(text, "1 of 2 ways between executors") || strings.Contains(text, "the store") || strings.Contains(text, "a message") {
		t.Errorf("it assumes %s", text)
	}
	if _, _, err := c.Profiles(ctx, "nope"); !fault.Is(err, fault.UnknownDAG) {
		t.Errorf("%v", err)
	}
}
