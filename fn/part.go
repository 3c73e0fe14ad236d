package fn

import (
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Part is one value of a join of k of n (dag.KOf): a function behind one takes a []Part.
type Part struct {
	Index int         `cbor:"index" json:"index"` // among the sources of the join, from 0
	Value value.Value `cbor:"value" json:"value"` // what that source gave
}

// PartsOf decodes the values of a join: the i-th value came from source indexes[i]. wrong_type names the part that is
// no T.
func PartsOf[T any](parts []Part) (indexes []int, values []T, err error) {
	indexes, values = make([]int, len(parts)), make([]T, len(parts))
	for i, p := range parts {
		indexes[i] = p.Index
		if values[i], err = value.As[T](p.Value); err != nil {
			return nil, nil, fault.New(fault.WrongType, "part %d: %w", p.Index, err)
		}
	}
	return indexes, values, nil
}
