package value

import "github.com/squall-faas/squall/fault"

// Ref is an argument that stands for the value under a key: the executor's cache resolves it before the function
// runs, and the scheduler places the call where the key is cached. It may be an argument, an input, or an element
// of the list that a Map fans out over.
type Ref string

// refTag marks a byte string inside CBOR as a Ref. It stands in the range that RFC 8949 §9.2 leaves to first come,
// first served.
const refTag = 0x53_51_4c // "SQL", as in Squall

// Ref gives the key that v stands for, and whether v is a reference at all.
func (v Value) Ref() (Ref, bool) {
	if v.kind != Reference {
		return "", false
	}
	if r, ok := v.live.(Ref); ok {
		return r, true
	}
	return Ref(v.data), true
}

// MarshalCBOR writes the reference as a tagged byte string, so that a Ref inside a struct, list or map stays one.
func (r Ref) MarshalCBOR() ([]byte, error) {
	return append(appendHead(appendHead(nil, majorTag, refTag), majorBytes, uint64(len(r))), r...), nil
}

// UnmarshalCBOR reads what MarshalCBOR wrote; anything else is wrong_type.
func (r *Ref) UnmarshalCBOR(b []byte) error {
	key, ok := scanRef(b)
	if !ok {
		return fault.New(fault.WrongType, "%s is not a reference", describeItem(b))
	}
	*r = Ref(key)
	return nil
}

// scanRef gives the key of an encoded reference that is all of b.
func scanRef(b []byte) (key []byte, ok bool) {
	major, tag, rest, ok := readHead(b)
	if !ok || major != majorTag || tag != refTag {
		return nil, false
	}
	major, n, rest, ok := readHead(rest)
	if !ok || major != majorBytes || n != uint64(len(rest)) {
		return nil, false
	}
	return rest, true
}
