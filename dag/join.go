package dag

import (
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// Joined stands for several sources that make one argument. Make one with [Any] or [KOf].
type Joined struct {
	refs []Ref
	need int
	any  bool
}

// Any is an argument that takes the value of whichever of refs has one first. The others are of no more interest: what
// runs only for their sake is cancelled, up to the inputs. A branch that fails or is skipped is no fault while another
// may still come.
//
//	b.Call("show", "show", dag.Any(fast, careful))
func Any(refs ...Ref) Joined { return Joined{refs, 1, true} }

// KOf is an argument that takes the first k values of refs, as a list of [fn.Part], each with the position among refs
// that it comes from, in that order. The others are of no more interest, as with [Any]. Where k can no longer be
// reached, the node fails if one of refs has failed, and is skipped if all that are missing were skipped.
//
//	b.Call("decode", "decode", dag.KOf(3, shards...))
//
//	func decode(c fn.Context, shards []fn.Part) ([]byte, error)
func KOf(k int, refs ...Ref) Joined { return Joined{refs, k, false} }

// When is ref as an edge that is absent where the value does not satisfy c. A node whose arguments are all absent is
// skipped; else an absent one is null, which pointers, slices, maps and interfaces take as nil. Where a whole node
// depends on a condition, use [OnlyIf].
func When(ref Ref, c Condition) Ref {
	if ref.when != nil {
		c = AllOf(*ref.when, c)
	}
	ref.when = &c
	return ref
}

// joined makes the argument of a join that is met.
func (j *Join) joined(positions []int, values []value.Value) (value.Value, error) {
	if j.Any {
		return values[0], nil
	}
	parts := make([]fn.Part, len(values))
	for i := range parts {
		parts[i] = fn.Part{Index: positions[i], Value: values[i]}
	}
	return value.Of(parts)
}
