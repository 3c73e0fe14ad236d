package functions

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// Updates carries out every operation on keys that begin with prefix, and gives what it read as text.
func Updates(c fn.Context, prefix string) ([]string, error) {
	sum, e1 := fn.Add(c, prefix+"counter", 5)
	sum2, e2 := fn.Add(c, prefix+"counter", -7)
	none, e3 := fn.Members[string](c, prefix+"set")
	e4 := errors.Join(
		fn.Insert(c, prefix+"set", "a"), fn.Insert(c, prefix+"set", "b"), fn.Remove(c, prefix+"set", "a"),
		fn.Remove(c, prefix+"set", "never there"),
		fn.Grow(c, prefix+"growset", 2), fn.Grow(c, prefix+"growset", 1), fn.Grow(c, prefix+"growset", 2))
	set, e5 := fn.Members[string](c, prefix+"set")
	grown, e6 := fn.Members[int](c, prefix+"growset")
	_, e7 := fn.Raise(c, prefix+"max", 3)
	most, e8 := fn.Raise(c, prefix+"max", 2)
	_, e9 := fn.Lower(c, prefix+"min", "b")
	least, e10 := fn.Lower(c, prefix+"min", "a")
	return []string{
		fmt.Sprint(sum, sum2), fmt.Sprint(none, set, grown), fmt.Sprint(most, " ", least),
	}, errors.Join(e1, e2, e3, e4, e5, e6, e7, e8, e9, e10)
}

// Shop is a map as a struct.
type Shop struct {
	Name  string
	Sold  int
	Tags  []string
	Hours map[string]int
}

// UpdatesField makes a map under key, field by field.
func UpdatesField(c fn.Context, key string) (Shop, error) {
	if err := errors.Join(
		fn.PutField(c, key, "Name", "corner"), fn.AddField(c, key, "Sold", 2), fn.AddField(c, key, "Sold", 1),
		fn.PutField(c, key, "Gone", true), fn.RemoveField(c, key, "Gone"),
		fn.UpdateField(c, key, lattice.Op{Kind: lattice.Insert, Arg: value.MustOf("new")}, "Tags"),
		fn.UpdateField(c, key, lattice.Op{Kind: lattice.Assign, Arg: value.MustOf(8)}, "Hours", "mon"),
	); err != nil {
		return Shop{}, err
	}
	fields, err := fn.Get[map[string]value.Value](c, key)
	if err != nil || len(fields) != 4 {
		return Shop{}, fmt.Errorf("the map has the fields %v, %v", fields, err)
	}
	return fn.Get[Shop](c, key)
}

func AddField(c fn.Context, key, field string) (int, error) { return 1, fn.AddField(c, key, field, 1) }

func Count(c fn.Context, key string, n int64) (int64, error) { return fn.Add(c, key, n) }

func Siblings(c fn.Context, key string) ([]int, error) { return fn.Siblings[int](c, key) }

func GetMany(c fn.Context, keys []string) (map[string]int, error) { return fn.GetMany[int](c, keys) }

// PutWith writes with options and gives what it then reads.
func PutWith(c fn.Context, key string, ttl time.Duration, ack string) (string, error) {
	if err := fn.PutWith(c, key, "v of "+key, fn.PutOptions{TTL: ttl, Ack: ack}); err != nil {
		return "", err
	}
	return fn.Get[string](c, key)
}

// Answers sends n messages back as they came, and then itself one.
func Answers(c fn.Context, n int) (string, error) {
	for range n {
		b, from, err := fn.Recv[[]byte](c)
		if err != nil {
			return "", err
		}
		if err := fn.Send(c, from, b); err != nil {
			return "", err
		}
	}
	if err := fn.Send(c, c.Address(), "done"); err != nil {
		return "", err
	}
	last, from, err := fn.Recv[string](c)
	if err == nil && from != c.Address() {
		return "", fmt.Errorf("a message to oneself came from %q", from)
	}
	return last, err
}

// Asks sends two messages at a time, n times, and expects them back in order.
func Asks(c fn.Context, to string, n int) (int, error) {
	for i := range n {
		small, large := []byte{byte(i)}, bytes.Repeat([]byte{byte(i), 1}, i<<10)
		if err := errors.Join(fn.Send(c, to, small), fn.Send(c, to, large)); err != nil {
			return i, err
		}
		for _, want := range [][]byte{small, large} {
			got, from, err := fn.Recv[[]byte](c)
			if err != nil {
				return i, err
			}
			if from != to || !bytes.Equal(got, want) {
				return i, fmt.Errorf("round %d: %d bytes from %q, want %d from %q", i, len(got), from, len(want), to)
			}
		}
	}
	return n, nil
}

func Sends(c fn.Context, to, text string) (int, error) { return len(text), fn.Send(c, to, text) }

// Floods sends to itself until its mailbox is full.
func Floods(c fn.Context) (int, error) {
	for n := 0; ; n++ {
		if err := fn.Send(c, c.Address(), n); fault.Is(err, fault.Overloaded) {
			return n, err
		} else if err != nil {
			return n, fmt.Errorf("message %d: %v", n, err)
		}
	}
}

func Receives(c fn.Context) (int, error) {
	n, _, err := fn.Recv[int](c)
	return n, err
}
