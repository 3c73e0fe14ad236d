package lattice

import "github.com/squall-faas/squall/fault"

// Apply gives the state that op makes of s; s is nil where there is none yet. The result is never below s. An op that
// wants another type than s has is wrong_type, as is an argument that the op does not take; an op that makes no sense
// whatever the state, and an add that overflows, are invalid_argument.
func Apply(s State, op Op, by By) (State, error) {
	op, err := op.check(maxDepth)
	if err != nil {
		return nil, err
	}
	if s != nil && s.Type() != op.Kind.On() {
		return nil, fault.New(fault.WrongType, "the key holds a %s, and %s wants a %s: use another key, or delete this one first", s.Type(), op.Kind, op.Kind.On())
	}
	switch op.Kind {
	case Assign:
		old, _ := s.(Register)
		if s == nil {
			return Register{by.Stamp, op.Arg}, nil
		}
		return old.Join(Register{by.Stamp, op.Arg})
	case Add:
		old, _ := s.(Counter)
		n, err := integer(op.Arg)
		if err != nil {
			return nil, err
		}
		return result(old.Add(by.Actor, n))
	case Insert:
		old, _ := s.(Set)
		return result(old.Insert(by.Actor, op.Arg))
	case Remove:
		old, _ := s.(Set)
		return result(old.Remove(op.Arg))
	case GrowInsert:
		old, _ := s.(GrowSet)
		return result(old.Insert(op.Arg))
	case Raise:
		old, _ := s.(Max)
		return old.Join(Max{op.Arg})
	case Lower:
		old, _ := s.(Min)
		return old.Join(Min{op.Arg})
	case AssignMulti:
		old, _ := s.(MultiValue)
		return old.Assign(by.Actor, old.Clock, by.Stamp, op.Arg), nil
	default: // Field, RemoveField: check knows no other
		old, _ := s.(Map)
		return old.update(op, by)
	}
}

// result keeps a nil State beside an error, which an interface that holds a zero one is not.
func result[S State](s S, err error) (State, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// update carries out Field and RemoveField. Every update of a field is an event of the map, whatever depth it reaches.
func (m Map) update(op Op, by By) (State, error) {
	if from, to := named(m.fields, op.Field); from == to && op.removes() {
		return m, nil
	}
	dot := m.clock.Next(by.Actor)
	c, err := fields(m.fields).apply(op, by, dot)
	if err != nil {
		return nil, err
	}
	if op.Kind == Field {
		m.clock = m.clock.With(dot)
	}
	m.fields = c.(fields)
	return m, nil
}
