package value

import (
	"bytes"
	"reflect"
	"slices"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
)

// The modes of the general codec are made when the first value needs them: a guest that passes only bytes and
// scalars never pays for them.

// enc is core deterministic CBOR (RFC 8949 §4.2.1): equal values have equal bytes, so encodings serve as keys.
var enc = sync.OnceValue(func() cbor.UserBufferEncMode {
	opts := cbor.CoreDetEncOptions()
	opts.Time = cbor.TimeRFC3339Nano
	opts.TimeTag = cbor.EncTagRequired
	opts.NilContainers = cbor.NilContainerAsEmpty
	m, err := opts.UserBufferEncMode()
	if err != nil {
		panic(err)
	}
	return m
})

// dec bounds what a hostile payload can make the decoder build. It checks that the whole payload is well-formed
// before it allocates anything, so a length that lies costs nothing; the limits on elements are there only because
// its own defaults are lower than what a large list has.
var dec = sync.OnceValue(func() cbor.DecMode { return decMode(reflect.TypeFor[map[string]any]()) })

// decAnyKeys is dec for a payload with maps inside a Go any whose keys are not all text.
var decAnyKeys = sync.OnceValue(func() cbor.DecMode { return decMode(reflect.TypeFor[map[any]any]()) })

func decMode(anyMap reflect.Type) cbor.DecMode {
	tags := cbor.NewTagSet()
	err := tags.Add(cbor.TagOptions{DecTag: cbor.DecTagOptional}, reflect.TypeFor[Ref](), refTag)
	if err != nil {
		panic(err)
	}
	m, err := cbor.DecOptions{
		MaxNestedLevels:  maxLevels,
		MaxArrayElements: 1 << 30,
		MaxMapPairs:      1 << 30,
		IndefLength:      cbor.IndefLengthForbidden,
		IntDec:           cbor.IntDecConvertSignedOrBigInt,
		BigIntDec:        cbor.BigIntDecodePointer,
		DefaultMapType:   anyMap,
		UTF8:             cbor.UTF8DecodeInvalid,
	}.DecModeWithTags(tags)
	if err != nil {
		panic(err)
	}
	return m
}

// Payload gives v's kind and encoded payload. For Bytes it is the very slice v was made from: do not write to it.
// What a type's own encoding fails with is wrong_type.
func (v Value) Payload() (Kind, []byte, error) {
	v.verify()
	switch {
	case v.kind == Null || v.data != nil:
		return v.kind, v.data, nil
	}
	switch x := v.live.(type) {
	case nil:
		return v.kind, nil, nil
	case string:
		return v.kind, []byte(x), nil
	case Ref:
		return v.kind, []byte(x), nil
	}
	b, err := appendLive(nil, v.live)
	if err != nil {
		return CBOR, nil, err
	}
	k, b := lift(b)
	return k, b, nil
}

// FromPayload makes a Value of an encoded payload; it keeps data, which the caller gives up writing to. The payload
// is checked when it is decoded. A kind of a later release is unsupported.
func FromPayload(k Kind, data []byte) (Value, error) {
	data = slices.Clip(data) // what a function appends to its argument must not overwrite the next message
	switch k {
	case Null:
		return Value{}, nil
	case CBOR:
		return fromItem(data), nil
	case Bytes, Text, Reference:
		return Value{kind: k, data: data}.sealed(), nil
	}
	return Value{}, fault.New(fault.Unsupported, "value kind %d is of a later version of Squall: upgrade this node", k)
}

// Append appends v's wire form, one byte of kind and then the payload, to dst.
func (v Value) Append(dst []byte) ([]byte, error) {
	v.verify()
	at := len(dst)
	dst = append(dst, byte(v.kind))
	switch {
	case v.kind == Null:
		return dst, nil
	case v.data != nil:
		return append(dst, v.data...), nil
	}
	switch x := v.live.(type) {
	case nil:
		return dst, nil
	case string:
		return append(dst, x...), nil
	case Ref:
		return append(dst, x...), nil
	}
	dst, err := appendLive(dst, v.live)
	if err != nil {
		return nil, err
	}
	if k, b := lift(dst[at+1:]); k != CBOR {
		dst[at] = byte(k)
		dst = append(dst[:at+1], b...)
	}
	return dst, nil
}

// Wire gives v's wire form in a slice of its own.
func (v Value) Wire() ([]byte, error) { return v.Append(nil) }

// Parse reads the wire form that Append wrote. It keeps b. Numeric slices of 64 KiB and more are decoded without a
// copy if b begins at a multiple of eight, as a slice of its own does.
func Parse(b []byte) (Value, error) {
	if len(b) == 0 {
		return Value{}, fault.New(fault.InvalidArgument, "an empty message is no value: its first byte must be the kind")
	}
	return FromPayload(Kind(b[0]), b[1:])
}

// Measure returns v with its payload encoded beside the live value, so that Size is exact and Append is a copy.
func (v Value) Measure() (Value, error) {
	if v.data != nil || v.kind != CBOR {
		return v, nil
	}
	k, b, err := v.Payload()
	if err != nil {
		return v, err
	}
	v.kind, v.data = k, slices.Clip(b)
	return v, nil
}

// appendLive encodes a live value that is not a string or Ref.
func appendLive(dst []byte, live any) ([]byte, error) {
	if out, ok := appendScalar(dst, live); ok {
		return out, nil
	}
	if vs, ok := live.(items); ok {
		return vs.append(dst)
	}
	if out, ok := appendArray(dst, live); ok {
		return out, nil
	}
	rv := reflect.ValueOf(live)
	if out, ok := appendNamedArray(dst, rv); ok {
		return out, nil
	}
	if traitsOf(rv.Type()).open && tooDeep(rv, maxDepth, 4*maxDepth) {
		return nil, fault.New(fault.WrongType, "a value of type %s cannot be encoded: %w", rv.Type(), errTooDeep)
	}
	buf := bytes.NewBuffer(dst)
	if err := enc().MarshalToBuffer(live, buf); err != nil {
		return nil, fault.New(fault.WrongType, "a value of type %s cannot be encoded: %w", rv.Type(), err)
	}
	return buf.Bytes(), nil
}

// append encodes a list of Values as a CBOR array.
func (vs items) append(dst []byte) ([]byte, error) {
	dst = appendHead(dst, majorArray, uint64(len(vs)))
	for _, v := range vs {
		var err error
		if dst, err = v.appendItem(dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendItem encodes v as one CBOR item: bytes become a byte string, text a text string, a reference a tag.
func (v Value) appendItem(dst []byte) ([]byte, error) {
	if v.kind == CBOR && v.data == nil && v.live != nil {
		v.verify()
		return appendLive(dst, v.live)
	}
	k, b, err := v.Payload()
	if err != nil {
		return nil, err
	}
	switch k {
	case Null:
		return append(dst, itemNull), nil
	case Bytes:
		dst = appendHead(dst, majorBytes, uint64(len(b)))
	case Text:
		dst = appendHead(dst, majorText, uint64(len(b)))
	case Reference:
		dst = appendHead(appendHead(dst, majorTag, refTag), majorBytes, uint64(len(b)))
	}
	return append(dst, b...), nil
}

// MarshalCBOR lets a Value be a field of a struct or an element of a slice or map.
func (v Value) MarshalCBOR() ([]byte, error) { return v.appendItem(nil) }

// UnmarshalCBOR is MarshalCBOR's inverse. It copies b.
func (v *Value) UnmarshalCBOR(b []byte) error {
	*v = fromItem(bytes.Clone(b))
	return nil
}
