package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
)

// checkView is what `squall check` found.
type checkView struct {
	Report     history.Report      `json:"report"`
	Vacuous    []string            `json:"vacuous"` // why the history proves little; empty where it proves something
	Violations []history.Violation `json:"violations"`
	Allowed    map[string]int      `json:"allowed"` // how many more there are, by the rules of --allow
}

func (a *app) checkCommand() *cobra.Command {
	var allow []string
	var allowVacuous bool
	cmd := &cobra.Command{
		Use: "check FILE…", Short: "Check recorded histories of reads and writes against what each consistency level promises", Args: cobra.MinimumNArgs(1),
		Long: `Reads a history, offline, and tells what in it breaks the promise of the level at which it was done, and what the
history is made of. Several files are parts of one history, such as each process recorded its own; - is stdin.

Exit codes: 0 nothing is wrong, 1 something is, or the history is vacuous: too little happened in it to prove anything;
2 it is no history, or contradicts itself. --timeout bounds the search for linearizations (default 30s).`,
		Example: `  squall check history.jsonl
  squall check node-*.jsonl -o json
  squall check history.jsonl --allow cut --allow-vacuous
  squall check run --level dsc            # makes the history itself`,
		RunE: func(_ *cobra.Command, files []string) error {
			allowed := map[history.Rule]bool{}
			for _, name := range allow {
				r, err := history.ParseRule(name)
				if err != nil {
					return err
				}
				allowed[r] = true
			}
			c, err := a.history(files)
			if err != nil {
				return err
			}
			v := viewOfHistory(c, history.Options{Strong: a.set.Timeout}, allowed)
			if err := a.printObject(v, v.people); err != nil {
				return err
			}
			return v.verdict(allowVacuous)
		},
	}
	cmd.AddCommand(a.checkRunCommand())
	f := cmd.Flags()
	f.StringSliceVar(&allow, "allow", nil, "`rules` whose violations are counted but are no failure, such as cut")
	f.BoolVar(&allowVacuous, "allow-vacuous", false, "a history that proves nothing is no failure")
	return cmd
}

func viewOfHistory(c *history.Checker, o history.Options, allowed map[history.Rule]bool) checkView {
	v := checkView{Report: c.Report(), Violations: []history.Violation{}, Allowed: map[string]int{}}
	v.Vacuous = append([]string{}, v.Report.Vacuous()...)
	for _, x := range c.Check(o) {
		if allowed[x.Rule] {
			v.Allowed[string(x.Rule)]++
		} else {
			v.Violations = append(v.Violations, x)
		}
	}
	return v
}

// history reads the files of one history.
func (a *app) history(files []string) (*history.Checker, error) {
	var r history.Reader
	for _, name := range files {
		if err := a.historyFile(&r, name); err != nil {
			return nil, err
		}
	}
	return history.New(r.History())
}

func (a *app) historyFile(r *history.Reader, name string) error {
	if name == "-" {
		return r.Read("stdin", a.in)
	}
	f, err := os.Open(name)
	if err != nil {
		return fault.New(fault.InvalidArgument, "%w", err)
	}
	defer func() { _ = f.Close() }() // only read
	return r.Read(name, f)
}

// verdict is the error that makes the command fail.
func (v checkView) verdict(allowVacuous bool) error {
	switch {
	case len(v.Violations) > 0:
		return fault.New(fault.Internal, "%d violations: what was recorded is not what its levels promise", len(v.Violations))
	case len(v.Vacuous) > 0 && !allowVacuous:
		return fault.New(fault.Internal, "the history proves nothing, because %s: record more, or give --allow-vacuous", strings.Join(v.Vacuous, "; "))
	}
	return nil
}

// maxShown is how many violations of one rule people are shown; the others look like them.
const maxShown = 20

func (v checkView) people(w io.Writer) error {
	r := v.Report
	rows := [][]string{}
	for _, l := range r.Levels {
		row := []string{l.Level}
		for _, n := range []int{l.Runs, l.OK, l.Failed, l.Unknown, l.Redone, l.Ops, l.Reads, l.Writes} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	if err := printTable(w, []string{"LEVEL", "RUNS", "OK", "FAILED", "UNKNOWN", "REDONE", "OPS", "READS", "WRITES"}, rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\nnodes      %d\nkeys       %d, %d of them with several writers at once, at most %d\nfaults     %s\nanomalies  %s\n",
		r.Nodes, r.Keys, r.Contended, r.MaxWriters, counts(r.Faults), counts(r.Anomalies)); err != nil {
		return err
	}
	for _, why := range v.Vacuous {
		if _, err := fmt.Fprintf(w, "vacuous    %s\n", why); err != nil {
			return err
		}
	}
	if len(v.Allowed) > 0 {
		if _, err := fmt.Fprintf(w, "allowed    %s\n", counts(v.Allowed)); err != nil {
			return err
		}
	}
	if len(v.Violations) == 0 {
		_, err := fmt.Fprintln(w, "violations none")
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return printTable(w, []string{"RULE", "LEVEL", "KEY", "OPS", "WHY"}, v.rows())
}

// rows are the violations as people see them.
func (v checkView) rows() [][]string {
	var rows [][]string
	total, shown := map[string]int{}, map[string]int{}
	for _, x := range v.Violations {
		total[string(x.Rule)]++
	}
	for _, x := range v.Violations {
		rule := string(x.Rule)
		if shown[rule]++; shown[rule] > maxShown {
			continue
		}
		level := x.Level
		if level == "" {
			level = "-"
		}
		rows = append(rows, []string{rule, level, keys{}.show(kvs.Key(x.Key)), opIDs(x.Ops), x.Why})
		if shown[rule] == maxShown && total[rule] > maxShown {
			rows = append(rows, []string{rule, "", "", "", fmt.Sprintf("and %d more; -o json has them all", total[rule]-maxShown)})
		}
	}
	return rows
}

func opIDs(ids []int) string {
	if len(ids) == 0 {
		return "-"
	}
	var s []string
	for _, id := range ids {
		s = append(s, strconv.Itoa(id))
	}
	return strings.Join(s, ",")
}

// counts is a map of numbers on one line.
func counts(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	var s []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		s = append(s, fmt.Sprintf("%s %d", name, m[name]))
	}
	return strings.Join(s, ", ")
}
