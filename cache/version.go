package cache

import (
	"bytes"
	"strings"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// newVersion makes a version of what the store returned or pushed.
func newVersion(e kvs.Entry) (*version, error) {
	v, size, err := compact(e.Value)
	if err != nil {
		return nil, err
	}
	e.Value, e.Key, e.Deleted = v, kvs.Key(strings.Clone(string(e.Key))), false
	// Go rounds allocations up by an eighth at most, but for a few sizes.
	return &version{entry: e, cost: overhead + int64(len(e.Key)) + size + size/8}, nil
}

// compact gives v in the form in which it is cached, and the bytes it holds on to. A live Go value would be of unknown
// size, so only its encoding is kept; text stays a string, which readers get without a copy.
func compact(v value.Value) (value.Value, int64, error) {
	if v.Kind() == value.Text {
		if s, err := value.As[string](v); err == nil {
			return value.MustOf(s), int64(len(s)), nil
		}
	}
	kind, b, err := v.Payload()
	if err != nil {
		return value.Value{}, 0, fault.From(err)
	}
	if cap(b) > len(b)+len(b)/8 {
		b = bytes.Clone(b) // a short piece of a long buffer would keep all of it
	}
	v, err = value.FromPayload(kind, b)
	return v, int64(cap(b)), err
}

// own gives a copy of v that shares nothing with its maker, who may be a function that breaks its promise and writes
// to its slice after all, or has cut it from a large message.
func own(v value.Value) (value.Value, error) {
	if v.Kind() == value.Text {
		if s, err := value.As[string](v); err == nil {
			return value.MustOf(strings.Clone(s)), nil
		}
	}
	kind, b, err := v.Payload()
	if err != nil {
		return value.Value{}, fault.From(err)
	}
	return value.FromPayload(kind, bytes.Clone(b))
}
