package dag

import (
	"fmt"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// What a condition may have at most: it is decided inside the run machine, which must never be held up by one.
const (
	MaxConditionTerms = 16 // tests and connectives together
	MaxConditionDepth = 4  // connectives inside each other
	MaxConditionPath  = 8  // fields inside each other
)

// Op is what a condition asks of a value.
type Op uint8

// The operators. The numbers are the encoding's: append-only.
const (
	OpEquals    Op = 1
	OpNotEquals Op = 2
	OpLess      Op = 3
	OpAtMost    Op = 4
	OpGreater   Op = 5
	OpAtLeast   Op = 6
	OpExists    Op = 7 // it is there and is not null
	OpAll       Op = 8 // all of Terms hold
	OpAny       Op = 9 // one of Terms holds
	OpNot       Op = 10
)

// opNames are the operators as files write them.
var opNames = map[Op]string{
	OpEquals: "equals", OpNotEquals: "not_equals", OpLess: "less", OpAtMost: "at_most", OpGreater: "greater",
	OpAtLeast: "at_least", OpExists: "exists", OpAll: "all", OpAny: "any", OpNot: "not",
}

// Condition is a predicate on the value of one source: comparisons of the value, or of a field of it, with constants,
// and their connections. It is pure, and total: what cannot be compared (another type, a field that is not there) is
// not equal, not less and not greater. Numbers compare by their value, whatever their Go type. Make one with Equals
// and its kin, or with [Field].
type Condition struct {
	Op    Op          `cbor:"1,keyasint"`
	Path  []string    `cbor:"2,keyasint,omitempty"` // fields to go down to; empty is the value itself
	With  *Const      `cbor:"3,keyasint,omitempty"` // what is compared with
	Terms []Condition `cbor:"4,keyasint,omitempty"` // of OpAll and OpAny; one of OpNot
	bad   error       // what was wrong with the constant it was to be made with
}

// Equals holds where the value is x: a Go value, encoded when the graph is built.
func Equals(x any) Condition { return Field().Equals(x) }

// NotEquals holds where the value is not x.
func NotEquals(x any) Condition { return Field().NotEquals(x) }

// Less holds where the value is less than x. Numbers compare with numbers, text with text byte by byte.
func Less(x any) Condition { return Field().Less(x) }

// AtMost holds where the value is x or less.
func AtMost(x any) Condition { return Field().AtMost(x) }

// Greater holds where the value is greater than x.
func Greater(x any) Condition { return Field().Greater(x) }

// AtLeast holds where the value is x or greater.
func AtLeast(x any) Condition { return Field().AtLeast(x) }

// Exists holds where the value is not null.
func Exists() Condition { return Field().Exists() }

// AllOf holds where all of terms do.
func AllOf(terms ...Condition) Condition { return Condition{Op: OpAll, Terms: terms} }

// AnyOf holds where one of terms does.
func AnyOf(terms ...Condition) Condition { return Condition{Op: OpAny, Terms: terms} }

// Not holds where c does not.
func Not(c Condition) Condition { return Condition{Op: OpNot, Terms: []Condition{c}} }

// FieldPath names a field inside a value; its methods make conditions of that field.
type FieldPath struct{ path []string }

// Field names a field of a struct or map, or with several names one further inside; without any the value itself.
func Field(path ...string) FieldPath { return FieldPath{path} }

// Equals holds where the field is x.
func (f FieldPath) Equals(x any) Condition { return f.with(OpEquals, x) }

// NotEquals holds where the field is not x, or is not there.
func (f FieldPath) NotEquals(x any) Condition { return f.with(OpNotEquals, x) }

// Less holds where the field is less than x.
func (f FieldPath) Less(x any) Condition { return f.with(OpLess, x) }

// AtMost holds where the field is x or less.
func (f FieldPath) AtMost(x any) Condition { return f.with(OpAtMost, x) }

// Greater holds where the field is greater than x.
func (f FieldPath) Greater(x any) Condition { return f.with(OpGreater, x) }

// AtLeast holds where the field is x or greater.
func (f FieldPath) AtLeast(x any) Condition { return f.with(OpAtLeast, x) }

// Exists holds where the field is there and is not null.
func (f FieldPath) Exists() Condition { return Condition{Op: OpExists, Path: f.path} }

func (f FieldPath) with(op Op, x any) Condition {
	c, err := constant(x)
	if err == nil {
		err = comparesWith(op, c)
	}
	return Condition{Op: op, Path: f.path, With: c, bad: err}
}

// comparesWith refuses constants that nothing can be compared with.
func comparesWith(op Op, c *Const) error {
	v, err := c.Value()
	if err != nil {
		return err
	}
	x, err := plainly(v)
	if err != nil {
		return err
	}
	switch scalarOf(x).kind {
	case notScalar:
		return fault.New(fault.InvalidDAG, "conditions compare with numbers, text, bytes, booleans and null")
	case boolScalar, nullScalar:
		if op != OpEquals && op != OpNotEquals {
			return fault.New(fault.InvalidDAG, "less and greater compare with numbers, text and bytes")
		}
	}
	return nil
}

// String writes the condition as a person would.
func (c Condition) String() string {
	switch c.Op {
	case OpAll, OpAny, OpNot:
		var terms []string
		for _, t := range c.Terms {
			terms = append(terms, t.String())
		}
		return opNames[c.Op] + "(" + strings.Join(terms, ", ") + ")"
	}
	text := opNames[c.Op]
	if text == "" {
		text = fmt.Sprintf("operator %d", c.Op)
	}
	if len(c.Path) > 0 {
		text = strings.Join(c.Path, ".") + " " + text
	}
	if c.With != nil {
		if v, err := c.With.Value(); err == nil {
			if b, err := v.JSON(); err == nil {
				text += " " + string(b)
			}
		}
	}
	return text
}

// check says what is wrong with c, if anything is.
func (c *Condition) check() error {
	terms := 0
	return c.checkTerm(&terms, 0)
}

// normalize gives what is empty one form, so that equal conditions are deeply equal.
func (c *Condition) normalize() {
	if len(c.Path) == 0 {
		c.Path = nil
	}
	if len(c.Terms) == 0 {
		c.Terms = nil
	}
	for i := range c.Terms {
		c.Terms[i].normalize()
	}
}

func (c *Condition) checkTerm(terms *int, depth int) error {
	bad := func(format string, args ...any) error { return fault.New(fault.InvalidDAG, format, args...) }
	if *terms++; *terms > MaxConditionTerms {
		return bad("a condition of more than %d terms: let a function decide, and test its result", MaxConditionTerms)
	}
	if depth > MaxConditionDepth {
		return bad("a condition nested more than %d deep: let a function decide, and test its result", MaxConditionDepth)
	}
	if c.bad != nil {
		return c.bad
	}
	switch c.Op {
	case OpAll, OpAny, OpNot:
		if len(c.Path) > 0 || c.With != nil {
			return bad("%s joins conditions and compares nothing itself", opNames[c.Op])
		}
		if len(c.Terms) == 0 || c.Op == OpNot && len(c.Terms) != 1 {
			return bad("%s of %d conditions", opNames[c.Op], len(c.Terms))
		}
		for i := range c.Terms {
			if err := c.Terms[i].checkTerm(terms, depth+1); err != nil {
				return err
			}
		}
		return nil
	case OpExists:
		if c.With != nil {
			return bad("exists compares with nothing")
		}
	case OpEquals, OpNotEquals, OpLess, OpAtMost, OpGreater, OpAtLeast:
		if c.With == nil {
			return bad("%s needs a constant to compare with", opNames[c.Op])
		}
		if err := c.With.check(); err != nil {
			return err
		}
		if err := comparesWith(c.Op, c.With); err != nil {
			return err
		}
	default:
		return bad("operator %d is none: make conditions with Equals and its kin", c.Op)
	}
	if len(c.Terms) > 0 {
		return bad("%s joins no conditions", opNames[c.Op])
	}
	if len(c.Path) > MaxConditionPath {
		return bad("a condition on a field %d deep: at most %d are allowed", len(c.Path), MaxConditionPath)
	}
	for _, name := range c.Path {
		if name == "" || len(name) > 128 {
			return bad("a condition on a field named %.40q: names have 1 to 128 bytes", name)
		}
	}
	return nil
}
