package dag

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Option sets something of one node. Give it to Call, Map or Reduce among the arguments.
type Option struct {
	apply func(n *Node) error
	guard *Ref // of OnlyIf and After, instead of apply
}

// Retries has a failed try repeated up to n times. The first of backoff is the pause before the second try, which
// doubles with each further one and is jittered; the second one is the longest pause. They default to 100 ms and 30 s.
func Retries(n int, backoff ...time.Duration) Option {
	return Option{apply: func(node *Node) error {
		node.Retry = Retry{Max: n}
		switch len(backoff) {
		case 2:
			node.Retry.Cap = backoff[1]
			fallthrough
		case 1:
			node.Retry.Backoff = backoff[0]
		case 0:
		default:
			return fault.New(fault.InvalidDAG, "Retries takes the first and the longest backoff, got %d durations", len(backoff))
		}
		return nil
	}}
}

// Timeout bounds each try of a node. 0 leaves it to the function's own limit and the run's deadline.
func Timeout(d time.Duration) Option {
	return Option{apply: func(n *Node) error {
		n.Timeout = d
		return nil
	}}
}

// Initial gives a Reduce a value to start from: it is the result for an empty list, and otherwise folded in from the
// left. Without one an empty list is an error. x is a constant, see [Builder].
func Initial(x any) Option {
	return Option{apply: func(n *Node) error {
		if _, isRef := x.(Ref); isRef {
			return fault.New(fault.InvalidDAG, "the initial value of a reduce is a constant, not the result of a node")
		}
		c, err := constant(x)
		if err != nil {
			return fault.New(fault.InvalidDAG, "the initial value cannot be a constant: %w", because(err))
		}
		n.Initial = c
		return nil
	}}
}

// OnlyIf has the node run only where the value of ref satisfies c; else it is skipped, whatever its arguments are. The
// value is not passed to the function. Several have to hold together.
func OnlyIf(ref Ref, c Condition) Option {
	guard := When(ref, c)
	return Option{guard: &guard}
}

// After has the node wait until ref has its value, which is not passed to the function. The node is skipped where ref
// is.
func After(ref Ref) Option { return Option{guard: &ref} }

// Hedge has a second try of an invocation start on another executor when the first has run longer than the given
// quantile of the function's run times, 0.95 for instance. The first result counts, and the other try is cancelled. The
// writes of both are kept back until one returns, so they take effect once; effects outside Squall may happen twice.
// It does nothing while too few run times are known, or where there is no other executor. Not for a Reduce.
func Hedge(quantile float64) Option {
	return Option{apply: func(n *Node) error {
		if !(quantile > 0 && quantile < 1) {
			return fault.New(fault.InvalidDAG, "hedging past quantile %v: give one between 0 and 1, such as 0.95", quantile)
		}
		n.Hedge = quantile
		return nil
	}}
}

// constant encodes x.
func constant(x any) (*Const, error) {
	v, err := value.Of(x)
	if err != nil {
		return nil, err
	}
	wire, err := v.Wire()
	if err != nil {
		return nil, err
	}
	return &Const{Wire: wire}, nil
}
