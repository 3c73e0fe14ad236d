package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// script reads a history in short form, one record a line:
//
//	r1 a n1 sk write k x1 rep=x0      run, call (b<a: b comes after a), node, level, kind, key, values
//	r1 b<a n1 sk read k x1,x2         what it saw; nothing: -
//	r1 b n1 sk count c 3              a read of a counter
//	end r1 failed b=1                 a run's outcome, the attempts that counted
//	final k x1,x2                     what the store holds; k@n1: what a node sees; #3: a count
//	fault crash, fault drop 3
//
// Behind an operation: rep=x,y  t=10-20  t=10-  att=1  ts=7  unknown  failed  cached. Operations follow each other in time
// unless t says otherwise; runs that no line ends are ok.
func script(t *testing.T, text string) *History {
	t.Helper()
	h := &History{}
	clock := int64(0)
	ended := map[string]bool{}
	levels := map[string]string{}
	var order []string
	seq := map[string]int{}
	values := func(s string) []string {
		if s == "-" || s == "" {
			return nil
		}
		return strings.Split(s, ",")
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "//") {
			continue
		}
		switch f[0] {
		case "end":
			ended[f[1]] = true
			e := End{Run: f[1], Outcome: Result(f[2]), Attempts: map[string]int{}}
			for _, a := range f[3:] {
				call, n, _ := strings.Cut(a, "=")
				e.Attempts[call], _ = strconv.Atoi(n)
			}
			if f[2] != "none" {
				h.Ends = append(h.Ends, e)
			}
			continue
		case "final":
			key, node, _ := strings.Cut(f[1], "@")
			fin := Final{Key: key, Node: node}
			if n, ok := strings.CutPrefix(f[2], "#"); ok {
				fin.N, _ = strconv.ParseInt(n, 10, 64)
			} else {
				fin.Values = values(f[2])
			}
			h.Finals = append(h.Finals, fin)
			continue
		case "fault":
			fl := Fault{Kind: f[1], At: clock}
			if len(f) > 2 {
				fl.N, _ = strconv.Atoi(f[2])
			}
			h.Faults = append(h.Faults, fl)
			continue
		}
		if len(f) < 7 {
			t.Fatalf("script: %q", line)
		}
		call, after, _ := strings.Cut(f[1], "<")
		clock += 10
		o := Op{
			ID: len(h.Ops) + 1, Run: f[0], Call: call, Node: f[2], Level: f[3], Kind: Kind(f[4]), Key: f[5],
			Begin: clock, End: clock + 5, Result: OK, After: values(strings.ReplaceAll(after, "<", ",")),
		}
		switch o.Kind {
		case "count":
			o.Kind = ReadCounter
			o.N, _ = strconv.ParseInt(f[6], 10, 64)
		default:
			o.Values = values(f[6])
		}
		for _, x := range f[7:] {
			name, v, _ := strings.Cut(x, "=")
			switch name {
			case "rep":
				o.Replaces = values(v)
			case "t":
				b, e, _ := strings.Cut(v, "-")
				o.Begin, _ = strconv.ParseInt(b, 10, 64)
				o.End, _ = strconv.ParseInt(e, 10, 64)
				clock = max(clock, o.Begin)
			case "att":
				o.Attempt, _ = strconv.Atoi(v)
			case "ts":
				o.Stamp.Time, _ = strconv.ParseUint(v, 10, 64)
			case "unknown", "failed":
				o.Result = Result(name)
			case "cached":
				o.Ack = "cached"
			default:
				t.Fatalf("script: option %q", x)
			}
		}
		thread := fmt.Sprint(o.Run, "/", o.Call, "/", o.Attempt)
		o.Seq = seq[thread]
		seq[thread]++
		if levels[o.Run] == "" {
			order = append(order, o.Run)
		}
		levels[o.Run] = o.Level
		h.Ops = append(h.Ops, o)
	}
	for i := range h.Ends {
		h.Ends[i].Level = levels[h.Ends[i].Run]
	}
	for _, run := range order {
		if !ended[run] {
			h.Ends = append(h.Ends, End{Run: run, Level: levels[run], Outcome: OK})
		}
	}
	return h
}

// check checks a history that does not contradict itself.
func check(t *testing.T, h *History) []Violation {
	t.Helper()
	c, err := New(h)
	if err != nil {
		t.Fatal(err)
	}
	return c.Check(Options{})
}

// rules are the rules broken, each once, sorted.
func rules(found []Violation) []Rule {
	var rs []Rule
	for _, v := range found {
		rs = append(rs, v.Rule)
	}
	slices.Sort(rs)
	return slices.Compact(rs)
}
