package value

import (
	"math"
	"reflect"
)

// maxPresize bounds what is set aside for a map before its keys are seen: two bytes of payload can be a pair, and a
// map's slot is many times that.
const maxPresize = 1 << 12

// intoAny gives the natural Go value: what was live, []byte, string, Ref, or the generic form of the CBOR.
func (v Value) intoAny(p *any) error {
	switch v.kind {
	case Null:
		*p = nil
		return nil
	case Text:
		*p = v.text()
		return nil
	case Reference:
		*p, _ = v.Ref()
		return nil
	}
	if _, list := v.live.(items); v.live != nil && !list {
		*p = v.live
		return nil
	}
	if v.kind == Bytes {
		*p = v.data
		return nil
	}
	_, b, err := v.Payload()
	if err != nil {
		return err
	}
	x, err := generic(b)
	if err != nil {
		return wrongType(v, reflect.TypeFor[any](), err)
	}
	*p = x
	return nil
}

// intoGeneric decodes into a map[string]any or []any, which want at every depth what an any gets.
func (v Value) intoGeneric(b []byte, dst reflect.Value) error {
	x, err := generic(b)
	if err != nil {
		return wrongType(v, dst.Type(), err)
	}
	if got := reflect.ValueOf(x); got.IsValid() && got.Type() == dst.Type() {
		dst.Set(got)
		return nil
	}
	return wrongType(v, dst.Type(), nil)
}

// generic decodes the item that is all of b as the package comment says for any; a typed array becomes a slice of
// its numbers.
func generic(b []byte) (any, error) {
	x, rest, err := genericItem(b, maxLevels)
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	return x, err
}

func genericItem(b []byte, levels int) (x any, rest []byte, err error) {
	major, n, rest, ok := readHead(b)
	if !ok {
		return nil, nil, errTruncated
	}
	if levels == 0 {
		return nil, nil, errTooDeep
	}
	switch major {
	case majorUint:
		if n > math.MaxInt64 {
			return n, rest, nil
		}
		return int64(n), rest, nil
	case majorNint:
		if i, ok := signed(major, n); ok {
			return i, rest, nil
		}
	case majorBytes, majorText:
		if n > uint64(len(rest)) {
			return nil, nil, errTruncated
		}
		if major == majorText {
			return string(rest[:n]), rest[n:], nil
		}
		return rest[:n:n], rest[n:], nil
	case majorArray:
		return genericList(b, levels)
	case majorMap:
		return genericMap(b, levels)
	case majorOther:
		switch b[0] {
		case itemFalse, itemTrue:
			return b[0] == itemTrue, rest, nil
		case itemNull, itemUndefined:
			return nil, rest, nil
		}
		if f, ok := scanFloat(b[0], major, n); ok {
			return f, rest, nil
		}
	}
	item, rest, err := split(b, levels)
	if err != nil {
		return nil, nil, err
	}
	if key, ok := scanRef(item); ok {
		return Ref(key), rest, nil
	}
	if a, ok, err := readArray(item); ok || err != nil {
		if err != nil {
			return nil, nil, err
		}
		return a.slice(), rest, nil
	}
	// What is left is rare: big integers, times, other tags, simple values.
	if item, err = expand(item); err != nil {
		return nil, nil, err
	}
	err = decAnyKeys().Unmarshal(item, &x)
	return x, rest, err
}

func genericList(b []byte, levels int) (x any, rest []byte, err error) {
	n, rest, ok := readList(b, majorArray)
	if !ok {
		return nil, nil, errTruncated
	}
	list := make([]any, n)
	for i := range list {
		if list[i], rest, err = genericItem(rest, levels-1); err != nil {
			return nil, nil, err
		}
	}
	return list, rest, nil
}

func genericMap(b []byte, levels int) (x any, rest []byte, err error) {
	n, rest, ok := readList(b, majorMap)
	if !ok {
		return nil, nil, errTruncated
	}
	byText := make(map[string]any, min(n, maxPresize))
	var byAny map[any]any // from the first key that is no text
	for range n {
		var key, val any
		if key, rest, err = genericItem(rest, levels-1); err != nil {
			return nil, nil, err
		}
		if val, rest, err = genericItem(rest, levels-1); err != nil {
			return nil, nil, err
		}
		if s, ok := key.(string); ok && byAny == nil {
			byText[s] = val
			continue
		}
		if byAny == nil {
			byAny = make(map[any]any, min(n, maxPresize))
			for s, val := range byText {
				byAny[s] = val
			}
		}
		if key != nil && !reflect.ValueOf(key).Comparable() {
			return nil, nil, errUnhashable
		}
		byAny[key] = val
	}
	if byAny != nil {
		return byAny, rest, nil
	}
	return byText, rest, nil
}
