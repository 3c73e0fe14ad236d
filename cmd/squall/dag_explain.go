package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/forecast"
)

// explainView is a plan with its reasons. Times are in nanoseconds.
type explainView struct {
	DAG       string        `json:"dag"`
	Objective string        `json:"objective"`
	Exact     bool          `json:"exact"`  // every plan was weighed, or ruled out by another
	States    int           `json:"states"` // that were looked at
	LatencyNs int64         `json:"latency_ns"`
	Cost      float64       `json:"cost_dollars"`
	Nodes     []explainNode `json:"nodes"`
	Edges     []explainEdge `json:"edges"`
	Runners   []explainPlan `json:"runners_up"`
	Assumed   []string      `json:"assumed"` // what nobody has measured and no file says
}

type explainNode struct {
	Node     string         `json:"node"`
	Function string         `json:"function"`
	Tasks    int            `json:"tasks"`
	Where    map[string]int `json:"where"` // tasks by executor
	StartNs  int64          `json:"start_ns"`
	FinishNs int64          `json:"finish_ns"`
	Runs     int            `json:"runs"` // observed, which the prediction rests on
	From     string         `json:"from"` // "learnt", "file" or "assumed"

	where string // for people
}

// explainBasis is what a plan rests on.
type explainBasis struct {
	Runs   []int    // observed of each node's function
	Given  []bool   // by node: a file says what its function does
	Links  int      // ways between executors of which no transfer was observed, and no file says how they are
	Ways   int      // between executors
	Store  bool     // a file says how fast it is
	Bus    bool     // the same
	Inputs []string // of which no file says how large they are
}

// from tells where a node's prediction comes from.
func (b *explainBasis) from(node int) string {
	switch {
	case b.Given[node]:
		return "file"
	case b.Runs[node] > 0:
		return "learnt"
	}
	return "assumed"
}

// assumed says in words what was.
func (b *explainBasis) assumed(p planner.Problem) []string {
	out := []string{}
	var functions []string
	for i, n := range p.Graph.Nodes {
		if b.from(i) == "assumed" && !slices.Contains(functions, n.Function) {
			functions = append(functions, n.Function)
		}
	}
	if len(functions) > 0 {
		x := forecast.Assumed(1 << 20)
		out = append(out, fmt.Sprintf("that a call of %s on 1 MiB takes %s and gives %s", strings.Join(functions, ", "), shortTime(int64(x.Took)), size(x.Out)))
	}
	for _, name := range b.Inputs {
		out = append(out, fmt.Sprintf("that input %s has %s", name, size(forecast.Input.Bytes)))
	}
	if b.Ways == 0 { // nothing goes anywhere
		return out
	}
	rate := func(perSecond float64) string { return size(int64(perSecond)) + "/s" }
	if b.Links > 0 {
		out = append(out, fmt.Sprintf("that %d of %d ways between executors carry %s after %v", b.Links, b.Ways, rate(forecast.Link.Bandwidth), forecast.Link.Latency))
	}
	if !b.Store {
		out = append(out, fmt.Sprintf("that the store takes %s and gives %s", rate(forecast.Store.Write), rate(forecast.Store.Read)))
	}
	if !b.Bus {
		out = append(out, fmt.Sprintf("that a message goes at %s after %v", rate(forecast.Bus.Bandwidth), forecast.Bus.Latency))
	}
	return out
}

type explainEdge struct {
	From         string            `json:"from"`
	To           string            `json:"to"`
	Argument     int               `json:"argument"` // from 1
	Pattern      planner.Pattern   `json:"pattern"`
	Bytes        int64             `json:"bytes"`
	Path         planner.Path      `json:"path"`
	TookNs       int64             `json:"took_ns"`
	Alternatives []explainPathView `json:"alternatives"`
}

type explainPathView struct {
	Path      planner.Path `json:"path"`
	TookNs    int64        `json:"took_ns,omitempty"`    // of this edge
	LatencyNs int64        `json:"latency_ns,omitempty"` // of the whole DAG
	Cost      float64      `json:"cost_dollars,omitempty"`
	Refused   string       `json:"refused,omitempty"`
}

type explainPlan struct {
	LatencyNs int64    `json:"latency_ns"`
	Cost      float64  `json:"cost_dollars"`
	Differs   []string `json:"differs"` // from the best
}

func (a *app) dagExplain() *cobra.Command {
	var file, fleet, svg, objective string
	var runners, budget int
	cmd := &cobra.Command{
		Use: "explain [NAME]", Short: "Say where a DAG's nodes would run and how its values would travel, and why",
		Long: `Plans a registered DAG on the executors that are up, or, with -f, that of a file without a cluster. What has not been
learnt from earlier runs is as a fleet's file says, or else assumed; the file has the last word. See docs/data-passing.md.`,
		Example: `  squall dag explain identifiers --svg identifiers.svg
  squall dag explain -f words.yaml --fleet fleet.yaml --objective cost`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		goal, ok := map[string]planner.Objective{"latency": planner.Latency, "cost": planner.Cost, "product": planner.Product}[objective]
		switch {
		case !ok:
			return fault.New(fault.InvalidArgument, "no objective %q: use latency, cost or product", objective)
		case (file == "") == (len(args) == 0):
			return fault.New(fault.InvalidArgument, "which DAG? give either the NAME of a registered one or -f FILE")
		}
		described := someFleet()
		if fleet != "" {
			b, err := a.read(fleet)
			if err == nil {
				described, err = parseFleet(b)
			}
			if err != nil {
				return err
			}
		}
		explain := func(g *dag.Graph, known learnt) error {
			p, basis, err := described.problem(g, known)
			if err != nil {
				return err
			}
			p.Goal, p.Budget, p.Runners = goal, budget, runners
			return a.explain(p, basis, svg)
		}
		if file != "" {
			g, err := a.graph(file)
			if err != nil {
				return err
			}
			return explain(g, learnt{})
		}
		return a.with(func(ctx context.Context, c *client.Client, args []string) error {
			g, _, err := c.DAG(ctx, args[0])
			if err != nil {
				return err
			}
			if fleet == "" || len(described.Executors) == 0 {
				members, err := c.Members(ctx)
				if err != nil {
					return err
				}
				described.Executors = fleetOf(members).Executors
			}
			var known learnt
			known.book, known.functions, err = c.Profiles(ctx, args[0])
			if err != nil && !fault.Is(err, fault.Unsupported) { // a coordinator of an earlier release does not know
				return err
			}
			return explain(g, known)
		})(cmd, args)
	}
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "", "`file` of the DAG, - for stdin, instead of a registered one")
	f.StringVar(&fleet, "fleet", "", "`file` that describes executors, links, functions and inputs")
	f.StringVar(&objective, "objective", "latency", "what is best: latency, cost or product")
	f.StringVar(&svg, "svg", "", "`file` for a drawing")
	f.IntVar(&runners, "runners", 3, "how many runners-up to show")
	f.IntVar(&budget, "budget", 0, "how many states to look at, at most (default 20000)")
	return cmd
}

func (a *app) explain(p planner.Problem, basis *explainBasis, svg string) error {
	r, err := planner.Solve(p)
	if err != nil {
		return err
	}
	v := explained(p, basis, r)
	if svg != "" {
		f, err := os.Create(svg)
		if err != nil {
			return fault.New(fault.InvalidArgument, "write the drawing: %w", err)
		}
		if err := errors.Join(drawPlan(f, p.Graph, v), f.Close()); err != nil {
			return fault.New(fault.Unavailable, "write the drawing: %w", err)
		}
	}
	return a.printObject(v, v.people)
}

func explained(p planner.Problem, basis *explainBasis, r *planner.Result) *explainView {
	g := p.Graph
	v := &explainView{
		DAG: g.Name, Objective: p.Goal.String(), Exact: r.Exact, States: r.Reckoned, LatencyNs: int64(r.Best.Latency), Cost: r.Best.Cost,
		Edges: []explainEdge{}, Runners: []explainPlan{}, Assumed: basis.assumed(p),
	}
	for i, n := range r.Best.Nodes {
		x := explainNode{
			Node: g.Nodes[i].Name, Function: g.Nodes[i].Function, Tasks: p.Work[i].Tasks, StartNs: int64(n.Start), FinishNs: int64(n.Finish),
			Where: map[string]int{}, where: whereText(p, n.Share), Runs: basis.Runs[i], From: basis.from(i),
		}
		for k, count := range n.Share {
			if count > 0 {
				x.Where[p.Fleet.Executors[k].Name] = count
			}
		}
		v.Nodes = append(v.Nodes, x)
	}
	for i, e := range r.Best.Edges {
		x := explainEdge{
			From: g.SourceName(e.From), To: g.Nodes[e.Edge.Node].Name, Argument: e.Edge.Arg + 1, Pattern: e.Pattern, Bytes: e.Bytes,
			Path: e.Path, TookNs: int64(e.Finish - e.Start),
		}
		for _, alt := range r.Alternatives[i] {
			x.Alternatives = append(x.Alternatives, explainPathView{alt.Path, int64(alt.Took), int64(alt.Latency), alt.Cost, alt.Refused})
		}
		v.Edges = append(v.Edges, x)
	}
	for _, other := range r.Runners {
		v.Runners = append(v.Runners, explainPlan{int64(other.Latency), other.Cost, differences(p, r.Best, other)})
	}
	return v
}

// whereText is a placement for people: a name, or names with the numbers of tasks.
func whereText(p planner.Problem, share []int) string {
	var parts []string
	for k, n := range share {
		if n > 0 {
			parts = append(parts, p.Fleet.Executors[k].Name+"×"+strconv.Itoa(n))
		}
	}
	if len(parts) == 1 {
		name, _, _ := strings.Cut(parts[0], "×")
		return name
	}
	return strings.Join(parts, " ")
}

// differences says in what a plan differs from the best.
func differences(p planner.Problem, best, other planner.Plan) []string {
	out := []string{}
	for i := range best.Nodes {
		if was, is := whereText(p, best.Nodes[i].Share), whereText(p, other.Nodes[i].Share); was != is {
			out = append(out, fmt.Sprintf("%s on %s", p.Graph.Nodes[i].Name, is))
		}
	}
	for i, e := range other.Edges {
		if e.Path != best.Edges[i].Path {
			out = append(out, fmt.Sprintf("%s → %s %s", p.Graph.SourceName(e.From), p.Graph.Nodes[e.Edge.Node].Name, e.Path))
		}
	}
	return out
}

func (v *explainView) people(w io.Writer) error {
	how := "every plan was weighed"
	if !v.Exact {
		how = "not every plan was weighed"
	}
	if _, err := fmt.Fprintf(w, "%s, best in %s: %s, $%.3g; %d states, %s\n\n", v.DAG, v.Objective, shortTime(v.LatencyNs), v.Cost, v.States, how); err != nil {
		return err
	}
	var rows [][]string
	for _, n := range v.Nodes {
		rows = append(rows, []string{n.Node, n.Function, strconv.Itoa(n.Tasks), n.where, shortTime(n.StartNs), shortTime(n.FinishNs), n.basis()})
	}
	if err := printTable(w, []string{"NODE", "FUNCTION", "TASKS", "WHERE", "START", "FINISH", "PREDICTED FROM"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, e := range v.Edges {
		var others []string
		for _, a := range e.Alternatives {
			if a.Refused == "" && a.Path != e.Path {
				others = append(others, fmt.Sprintf("%s %s (%+.1f %%)", a.Path, shortTime(a.TookNs), 100*(float64(a.LatencyNs)/float64(max(v.LatencyNs, 1))-1)))
			}
		}
		if len(others) == 0 {
			others = []string{"none"}
		}
		rows = append(rows, []string{e.From + " → " + e.To, e.Pattern.String(), size(e.Bytes), e.Path.String(), shortTime(e.TookNs), strings.Join(others, ", ")})
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	if err := printTable(w, []string{"EDGE", "PATTERN", "SIZE", "PATH", "TAKES", "INSTEAD (LATENCY OF THE DAG)"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, x := range v.Runners {
		rows = append(rows, []string{shortTime(x.LatencyNs), fmt.Sprintf("$%.3g", x.Cost), strings.Join(x.Differs, "; ")})
	}
	if rows != nil {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		if err := printTable(w, []string{"RUNNER-UP", "COST", "DIFFERS IN"}, rows); err != nil {
			return err
		}
	}
	if len(v.Assumed) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nAssumed: %s.\n", strings.Join(v.Assumed, "; "))
	return err
}

// basis says for people what a node's prediction rests on.
func (n *explainNode) basis() string {
	switch {
	case n.From != "learnt":
		return n.From
	case n.Runs == 1:
		return "1 run"
	}
	return strconv.Itoa(n.Runs) + " runs"
}

// shortTime is a time for people, to three digits.
func shortTime(ns int64) string {
	d := time.Duration(ns)
	for _, u := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= u {
			return strconv.FormatFloat(float64(d)/float64(u), 'g', 3, 64) + map[time.Duration]string{time.Second: " s", time.Millisecond: " ms", time.Microsecond: " µs"}[u]
		}
	}
	return strconv.FormatInt(ns, 10) + " ns"
}
