package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
)

// Rule names a promise, by how it was broken.
type Rule string

// The rules. Those of transactions are Adya's phenomena (Weak Consistency, 1999, §3 and §4).
const (
	ThinAir     Rule = "thin_air"     // something was read that nobody wrote, or not with effect, or not yet
	LostWrite   Rule = "lost_write"   // an acknowledged write is gone, and nothing superseded it that was allowed to
	Diverged    Rule = "diverged"     // at the end, places disagree about a key, or there are siblings where one wins
	Counter     Rule = "counter"      // increments were lost or counted twice
	CausalCycle Rule = "causal_cycle" // operations that causally precede themselves

	SiblingsShown   Rule = "siblings_shown"   // a read at a level without siblings saw several values
	ReplacedSibling Rule = "replaced_sibling" // siblings hold a write and one that it replaced

	Unrepeatable     Rule = "unrepeatable_read" // a run saw two versions of a key
	OwnWrite         Rule = "own_write"         // a run did not read what it had written
	WentBack         Rule = "went_back"         // a run read a version older than one that it had read or written
	NodeCut          Rule = "node_cut"          // a node returned a version older than what it had returned depends on
	MissedDependency Rule = "missed_dependency" // a run read a version older than what it had read or written depends on
	Cut              Rule = "cut"               // what a run read depends on a newer version than the one that it read elsewhere

	NotLinearizable Rule = "not_linearizable" // no order of a key's operations explains what was read
	Undecided       Rule = "undecided"        // whether one does could not be found out in time

	DirtyWrite       Rule = "G0"       // transactions overwrote each other in a cycle
	AbortedRead      Rule = "G1a"      // a write of a failed transaction is visible
	IntermediateRead Rule = "G1b"      // a transaction's write was seen that it had overwritten itself
	InformationCycle Rule = "G1c"      // transactions depend on each other in a cycle
	SingleDependency Rule = "G-single" // the same with one anti-dependency: lost update, fractured read
	AntiDependency   Rule = "G2"       // the same with several: write skew
)

// Rules lists all.
func Rules() []Rule {
	return []Rule{
		ThinAir, LostWrite, Diverged, Counter, CausalCycle, SiblingsShown, ReplacedSibling, Unrepeatable, OwnWrite, WentBack, NodeCut,
		MissedDependency, Cut, NotLinearizable, Undecided, DirtyWrite, AbortedRead, IntermediateRead, InformationCycle,
		SingleDependency, AntiDependency,
	}
}

// ParseRule reads a rule's name.
func ParseRule(s string) (Rule, error) {
	if r := Rule(s); slices.Contains(Rules(), r) {
		return r, nil
	}
	var names []string
	for _, r := range Rules() {
		names = append(names, string(r))
	}
	return "", fault.New(fault.InvalidArgument, "no rule %.40q: use one of %s", s, strings.Join(names, ", "))
}

// Violation is one promise that was not kept.
type Violation struct {
	Rule  Rule   `json:"rule"`
	Level string `json:"level,omitempty"` // of the operation whose promise it was
	Run   string `json:"run,omitempty"`
	Key   string `json:"key,omitempty"`
	Ops   []int  `json:"ops,omitempty"` // those involved, the one that broke the promise last
	Why   string `json:"why"`
}

func (v Violation) String() string { return fmt.Sprintf("%s %v: %s", v.Rule, v.Ops, v.Why) }

// Options of Check.
type Options struct {
	// Strong bounds the time that the search for linearizations may take, all keys together; 0 is 30 s.
	Strong time.Duration
}

const defaultStrong = 30 * time.Second

// Check runs all checks.
func (c *Checker) Check(o Options) []Violation {
	mk, dsc := c.multiKey() // both at once: it is one graph
	return slices.Concat(
		c.ThinAir(), c.Siblings(), c.Finals(), c.Counters(),
		c.RepeatableRead(), c.SingleKey(), mk, dsc, c.Strong(o.Strong), c.Transactions(),
	)
}

// violation makes one that is not yet placed anywhere.
func (c *Checker) violation(rule Rule, format string, args ...any) Violation {
	return Violation{Rule: rule, Why: fmt.Sprintf(format, args...)}
}

// at places a violation: it was the last of ops that broke the promise.
func (v Violation) at(c *Checker, ops ...int32) Violation {
	for _, i := range ops {
		v.Ops = append(v.Ops, c.ops[i].ID)
	}
	o := &c.ops[ops[len(ops)-1]]
	v.Level, v.Run, v.Key = o.level.String(), o.Run, o.Key
	return v
}

// name is how messages speak of an operation.
func (c *Checker) name(i int32) string {
	o := &c.ops[i]
	var s strings.Builder
	fmt.Fprintf(&s, "op %d (%s %s", o.ID, strings.ReplaceAll(string(o.Kind), "_", " of "), o.Key)
	switch o.Kind {
	case Write:
		s.WriteString(" = " + o.Values[0])
	case Read:
		s.WriteString(" → " + list(o.Values))
	case ReadCounter:
		fmt.Fprintf(&s, " → %d", o.N)
	}
	s.WriteString(", run " + o.Run + ", call " + o.Call)
	if o.Attempt != 0 {
		fmt.Fprintf(&s, " attempt %d", o.Attempt)
	}
	if o.Node != "" {
		s.WriteString(", node " + o.Node)
	}
	s.WriteByte(')')
	return s.String()
}

// list is how messages speak of what a key holds.
func list(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	return strings.Join(values, ", ")
}
