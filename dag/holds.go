package dag

import "github.com/squall-faas/squall/value"

// Holds decides the condition for a value. A checked condition always has an answer; a value that does not decode
// satisfies what null would.
func (c *Condition) Holds(v value.Value) bool {
	x, err := plainly(v)
	if err != nil {
		x = nil
	}
	return c.holds(x)
}

// plainly decodes a value into what conditions know, the same whether it is live, as another node's on this executor
// is, or came over the wire: a live struct is a map of its fields then.
func plainly(v value.Value) (any, error) {
	x, err := value.As[any](v)
	if err != nil || v.Kind() != value.CBOR {
		return x, err
	}
	switch x.(type) {
	case bool, int, int64, uint64, float64, nil:
		return x, nil
	}
	kind, b, err := v.Payload()
	if err != nil {
		return nil, err
	}
	if v, err = value.FromPayload(kind, b); err != nil {
		return nil, err
	}
	return value.As[any](v)
}

func (c *Condition) holds(x any) bool {
	switch c.Op {
	case OpAll:
		for i := range c.Terms {
			if !c.Terms[i].holds(x) {
				return false
			}
		}
		return true
	case OpAny:
		for i := range c.Terms {
			if c.Terms[i].holds(x) {
				return true
			}
		}
		return false
	case OpNot:
		return !c.Terms[0].holds(x)
	}
	field, found := descend(x, c.Path)
	if c.Op == OpExists {
		return found && scalarOf(field).kind != nullScalar
	}
	if !found {
		return c.Op == OpNotEquals
	}
	v, err := c.With.Value()
	if err != nil {
		return false
	}
	with, err := plainly(v)
	if err != nil {
		return false
	}
	order, ok := compare(scalarOf(field), scalarOf(with))
	switch c.Op {
	case OpEquals:
		return ok && order == 0
	case OpNotEquals:
		return !ok || order != 0
	case OpLess:
		return ok && order < 0
	case OpAtMost:
		return ok && order <= 0
	case OpGreater:
		return ok && order > 0
	case OpAtLeast:
		return ok && order >= 0
	}
	return false
}

// descend goes down to a field.
func descend(x any, path []string) (any, bool) {
	for _, name := range path {
		m, ok := x.(map[string]any)
		if !ok {
			return nil, false
		}
		if x, ok = m[name]; !ok {
			return nil, false
		}
	}
	return x, true
}

// satisfiedBy is Holds for a constant; one that does not parse satisfies everything, for its fault is reported elsewhere.
func (c *Condition) satisfiedBy(k *Const) bool {
	v, err := k.Value()
	return err != nil || c.check() != nil || c.Holds(v)
}
