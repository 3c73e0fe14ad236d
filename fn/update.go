package fn

import (
	"cmp"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// This file holds the typed forms of Context.UpdateValue. What a key holds is settled by its first update: the next one
// of another kind is wrong_type. All of them make the key where it is not there, and count once.

// Add adds n, which may be negative, to the counter under key and gives its sum. Get reads it as an integer.
func Add(c Context, key string, n int64) (int64, error) {
	v, err := c.UpdateValue(key, lattice.Op{Kind: lattice.Add, Arg: value.MustOf(n)})
	if err != nil {
		return 0, err
	}
	return value.As[int64](v)
}

// Insert puts x into the set under key. It wins over a Remove that does not know of it.
func Insert[T any](c Context, key string, x T) error { return update(c, key, lattice.Insert, x) }

// Remove takes x out of the set under key; one that is not there is no error.
func Remove[T any](c Context, key string, x T) error { return update(c, key, lattice.Remove, x) }

// Grow puts x into the set under key that only grows: it costs less than one for Insert, and nothing can be removed.
func Grow[T any](c Context, key string, x T) error { return update(c, key, lattice.GrowInsert, x) }

// Members reads the set under key, in an order that is the same everywhere; a key that is not there is an empty set.
func Members[T any](c Context, key string) ([]T, error) {
	xs, err := Get[[]T](c, key)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return xs, err
}

// Raise makes x the value under key if it is greater than what is there, and gives the greatest so far. A key holds
// either numbers or text.
func Raise[T cmp.Ordered](c Context, key string, x T) (T, error) {
	return extreme(c, key, lattice.Raise, x)
}

// Lower makes x the value under key if it is less than what is there, and gives the least so far; see Raise.
func Lower[T cmp.Ordered](c Context, key string, x T) (T, error) {
	return extreme(c, key, lattice.Lower, x)
}

// PutField writes x into a field of the map under key, and leaves the others as they are. Get reads the whole map, as a
// map[string]T or a struct. The latest of concurrent writes to a field wins.
func PutField[T any](c Context, key, field string, x T) error {
	v, err := value.Of(x)
	if err != nil {
		return err
	}
	return UpdateField(c, key, lattice.Op{Kind: lattice.Assign, Arg: v}, field)
}

// AddField adds n to a counter that is a field of the map under key.
func AddField(c Context, key, field string, n int64) error {
	return UpdateField(c, key, lattice.Op{Kind: lattice.Add, Arg: value.MustOf(n)}, field)
}

// RemoveField takes a field out of the map under key; one that is not there is no error. An update of the field that does
// not know of it wins.
func RemoveField(c Context, key, field string) error {
	_, err := c.UpdateValue(key, lattice.Op{Kind: lattice.RemoveField, Field: field})
	return err
}

// UpdateField carries out any operation on a field of the map under key: a field holds what a key can hold, a set or a
// map too. Further names lead into maps within the map.
func UpdateField(c Context, key string, op lattice.Op, field string, inside ...string) error {
	for i := len(inside) - 1; i >= 0; i-- {
		inner := op
		op = lattice.Op{Kind: lattice.Field, Field: inside[i], Inner: &inner}
	}
	_, err := c.UpdateValue(key, lattice.Op{Kind: lattice.Field, Field: field, Inner: &op})
	return err
}

func update[T any](c Context, key string, kind lattice.OpKind, x T) error {
	v, err := value.Of(x)
	if err != nil {
		return err
	}
	_, err = c.UpdateValue(key, lattice.Op{Kind: kind, Arg: v})
	return err
}

func extreme[T cmp.Ordered](c Context, key string, kind lattice.OpKind, x T) (T, error) {
	var zero T
	v, err := value.Of(x)
	if err != nil {
		return zero, err
	}
	if v, err = c.UpdateValue(key, lattice.Op{Kind: kind, Arg: v}); err != nil {
		return zero, err
	}
	return value.As[T](v)
}
