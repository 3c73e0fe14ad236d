package value

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// The major types of CBOR, RFC 8949 §3.1.
const (
	majorUint  = 0
	majorNint  = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7
)

const (
	itemFalse     = 0xf4
	itemTrue      = 0xf5
	itemNull      = 0xf6
	itemUndefined = 0xf7
	itemFloat16   = 0xf9
	itemFloat32   = 0xfa
	itemFloat64   = 0xfb
	emptyList     = 0x80
)

const (
	maxDepth  = 64  // lists and maps inside each other in what is encoded
	maxLevels = 128 // lists, maps and tags inside each other in what is decoded; above maxDepth, to leave room for tags
)

var (
	errTruncated  = errors.New("malformed CBOR: cut short, or of indefinite length")
	errTrailing   = errors.New("malformed CBOR: bytes after the end")
	errTooDeep    = errors.New("nested more than 64 levels deep: a cycle, or a list to be flattened")
	errUnhashable = errors.New("a map key that Go cannot have as one")
	errNotList    = errors.New("not a list")
)

func appendHead(dst []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

// insertHead puts a head before what begins at start: lists whose length is known only at their end.
func insertHead(dst []byte, start int, major byte, n int) []byte {
	var h [9]byte
	return slices.Insert(dst, start, appendHead(h[:0], major, uint64(n))...)
}

// readHead reads a definite head; ok is false at the end of b and for indefinite lengths, which core deterministic
// encoding forbids.
func readHead(b []byte) (major byte, n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, nil, false
	}
	major, info, b := b[0]>>5, b[0]&31, b[1:]
	switch {
	case info < 24:
		return major, uint64(info), b, true
	case info == 24 && len(b) >= 1:
		return major, uint64(b[0]), b[1:], true
	case info == 25 && len(b) >= 2:
		return major, uint64(binary.BigEndian.Uint16(b)), b[2:], true
	case info == 26 && len(b) >= 4:
		return major, uint64(binary.BigEndian.Uint32(b)), b[4:], true
	case info == 27 && len(b) >= 8:
		return major, binary.BigEndian.Uint64(b), b[8:], true
	}
	return 0, 0, nil, false
}

// readList reads the head of an array or map. It bounds n by what the rest can hold, one byte each, so that a caller
// may allocate by it.
func readList(b []byte, major byte) (n int, rest []byte, ok bool) {
	m, u, rest, ok := readHead(b)
	if !ok || m != major || u > uint64(len(rest)) {
		return 0, nil, false
	}
	return int(u), rest, true
}

// skip gives what follows the first item of b.
func skip(b []byte, levels int) ([]byte, error) {
	major, n, rest, ok := readHead(b)
	if !ok {
		return nil, errTruncated
	}
	switch major {
	case majorBytes, majorText:
		if n > uint64(len(rest)) {
			return nil, errTruncated
		}
		return rest[n:], nil
	case majorArray, majorMap, majorTag:
		if levels == 0 {
			return nil, errTooDeep
		}
		if n > uint64(len(rest)) && major != majorTag {
			return nil, errTruncated
		}
		switch major {
		case majorMap:
			n *= 2
		case majorTag:
			n = 1
		}
		for range n {
			var err error
			if rest, err = skip(rest, levels-1); err != nil {
				return nil, err
			}
		}
	}
	return rest, nil
}

// split cuts the first item off b; the item's capacity ends with it.
func split(b []byte, levels int) (item, rest []byte, err error) {
	rest, err = skip(b, levels)
	if err != nil {
		return nil, nil, err
	}
	n := len(b) - len(rest)
	return b[:n:n], rest, nil
}

// lift gives an encoded item the kind it would have had on its own: one value has one wire form, however it was
// made. What is not well-formed stays CBOR, and is reported when it is decoded.
func lift(b []byte) (Kind, []byte) {
	if len(b) == 0 {
		return CBOR, b
	}
	switch b[0] >> 5 {
	case majorBytes, majorText:
		if major, n, rest, ok := readHead(b); ok && n == uint64(len(rest)) {
			return Kind(major - majorBytes + byte(Bytes)), rest
		}
	case majorTag:
		if key, ok := scanRef(b); ok {
			return Reference, key
		}
	case majorOther:
		if len(b) == 1 && (b[0] == itemNull || b[0] == itemUndefined) {
			return Null, nil
		}
	}
	return CBOR, b
}

// fromItem makes a Value of one encoded item and keeps b.
func fromItem(b []byte) Value {
	k, data := lift(b)
	return Value{kind: k, data: slices.Clip(data)}.sealed()
}

// describeItem names what an encoded item is, for error messages.
func describeItem(b []byte) string {
	major, n, _, ok := readHead(b)
	if !ok {
		return "malformed"
	}
	switch major {
	case majorUint, majorNint:
		return "int"
	case majorBytes:
		return "bytes"
	case majorText:
		return "text"
	case majorArray:
		return "list"
	case majorMap:
		return "map"
	case majorTag:
		if n == refTag {
			return "reference"
		}
		if _, ok := tagNumbers(n); ok {
			return "list of numbers"
		}
		return "tagged"
	}
	switch b[0] {
	case itemFalse, itemTrue:
		return "bool"
	case itemNull, itemUndefined:
		return "null"
	case itemFloat16, itemFloat32, itemFloat64:
		return "float"
	}
	return "cbor"
}
