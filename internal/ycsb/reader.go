package ycsb

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// reader takes a workload's settings out of properties and keeps every mistake, so that all are reported at once.
type reader struct {
	p     *Properties
	known map[string]bool
	wrong []string
}

func (r *reader) fail(name, format string, args ...any) {
	e := fault.New(fault.InvalidArgument, format, args...)
	where := ""
	if s, ok := r.p.said[name]; ok && s.where != "" {
		where = " (" + s.where + ")"
	}
	r.wrong = append(r.wrong, name+where+": "+e.Message)
}

func (r *reader) get(name string) (string, bool) {
	r.known[name] = true
	s, ok := r.p.said[name]
	return s.value, ok
}

// text is one of choices, or anything where there are none.
func (r *reader) text(name, otherwise string, choices ...string) string {
	s, ok := r.get(name)
	if !ok {
		return otherwise
	}
	if len(choices) > 0 && !slices.Contains(choices, s) {
		r.fail(name, "%.40q is none of its values: write %s=%s", s, name, strings.Join(choices, ", or "))
		return otherwise
	}
	return s
}

func (r *reader) integer(name string, otherwise, least, most int64) int64 {
	s, ok := r.get(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		r.fail(name, "%.40q is no whole number: write one, such as %s=%d", s, name, max(otherwise, least))
	case n < least || n > most:
		r.fail(name, "%d is out of range: write %s", n, within(strconv.FormatInt(least, 10), strconv.FormatInt(most, 10), most == math.MaxInt64))
	default:
		return n
	}
	return otherwise
}

func (r *reader) number(name string, otherwise, least, most float64) float64 {
	s, ok := r.get(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(n):
		r.fail(name, "%.40q is no number: write one, such as %s=%g", s, name, otherwise)
	case n < least || n > most:
		r.fail(name, "%g is out of range: write %s", n, within(format(least), format(most), math.IsInf(most, 1)))
	default:
		return n
	}
	return otherwise
}

func within(least, most string, open bool) string {
	if open {
		return least + " or more"
	}
	return least + " to " + most
}

func format(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

func (r *reader) boolean(name string, otherwise bool) bool {
	s, ok := r.get(name)
	if !ok {
		return otherwise
	}
	switch strings.ToLower(s) {
	case "true":
		return true
	case "false":
		return false
	}
	r.fail(name, "%.40q is neither true nor false: write one of them", s)
	return otherwise
}

// finish reports what nobody has asked for, after the other mistakes.
func (r *reader) finish() error {
	for _, name := range r.p.Names() {
		if !r.known[name] {
			r.fail(name, "there is no such property%s", r.nearest(name))
		}
	}
	switch len(r.wrong) {
	case 0:
		return nil
	case 1:
		return fault.New(fault.InvalidArgument, "property %s", r.wrong[0])
	}
	return fault.New(fault.InvalidArgument, "%d properties are wrong:\n  %s", len(r.wrong), strings.Join(r.wrong, "\n  "))
}

// nearest suggests the known name that a mistyped one is closest to.
func (r *reader) nearest(name string) string {
	best, least := "", 4
	for _, k := range slices.Sorted(maps.Keys(r.known)) {
		if d := distance(strings.ToLower(name), k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ": take it out, or correct its name"
	}
	return ": did you mean " + best + "?"
}

// distance counts the single-letter edits between two names (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := above
			if a[i] != b[j] {
				cost++
			}
			above = row[j+1]
			row[j+1] = min(cost, above+1, row[j]+1)
		}
	}
	return row[len(b)]
}
