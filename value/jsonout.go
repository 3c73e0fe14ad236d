package value

import (
	"encoding/base64"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/squall-faas/squall/fault"
)

// JSON gives v as JSON, FromJSON's inverse, with the keys of objects in order. A float keeps a fraction or an exponent,
// so that it stays one; the integer keys of a map become strings; a time is a string, a big integer a number. It is
// wrong_type for what JSON cannot say: NaN and the infinities, and maps with other keys.
func (v Value) JSON() ([]byte, error) {
	k, b, err := v.Payload()
	if err != nil {
		return nil, err
	}
	switch k {
	case Null:
		return []byte("null"), nil
	case Bytes:
		return appendObject(nil, keyBytes, base64.StdEncoding.EncodeToString(b)), nil
	case Text:
		return appendText(nil, b), nil
	case Reference:
		return appendRef(nil, b), nil
	}
	out, rest, err := appendJSON(make([]byte, 0, len(b)+len(b)/2), b, maxLevels)
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	if err != nil {
		return nil, fault.New(fault.WrongType, "a value of type %s has no JSON form: %w", describe(v), err)
	}
	return out, nil
}

// MarshalJSON is JSON, so that a Value may be a field of what encoding/json writes.
func (v Value) MarshalJSON() ([]byte, error) { return v.JSON() }

// UnmarshalJSON is FromJSON.
func (v *Value) UnmarshalJSON(b []byte) error {
	var err error
	*v, err = FromJSON(b)
	return err
}

// noJSON is why an item has no JSON form.
type noJSON string

func (e noJSON) Error() string { return string(e) }

const (
	errNotFinite = noJSON("it holds NaN or an infinity: replace it, or fetch the value as CBOR")
	errJSONKey   = noJSON("a map key that is neither UTF-8 text nor an integer: fetch the value as CBOR")
	errJSONTwice = noJSON("two keys of a map that are the same as strings")
	errSimple    = noJSON("a simple value of CBOR that JSON lacks")
)

// appendJSON writes the first item of b.
func appendJSON(dst, b []byte, levels int) (out, rest []byte, err error) {
	major, n, rest, ok := readHead(b)
	if !ok {
		return nil, nil, errTruncated
	}
	if levels == 0 {
		return nil, nil, errTooDeep
	}
	switch major {
	case majorUint:
		return strconv.AppendUint(dst, n, 10), rest, nil
	case majorNint:
		return appendNegative(dst, n), rest, nil
	case majorBytes, majorText:
		if n > uint64(len(rest)) {
			return nil, nil, errTruncated
		}
		if major == majorText {
			return appendText(dst, rest[:n]), rest[n:], nil
		}
		return appendObject(dst, keyBytes, base64.StdEncoding.EncodeToString(rest[:n])), rest[n:], nil
	case majorArray:
		return appendJSONList(dst, b, levels)
	case majorMap:
		return appendJSONMap(dst, b, levels)
	case majorTag:
		return appendJSONTag(dst, b, levels)
	}
	switch b[0] {
	case itemTrue:
		return append(dst, "true"...), rest, nil
	case itemFalse:
		return append(dst, "false"...), rest, nil
	case itemNull, itemUndefined:
		return append(dst, "null"...), rest, nil
	}
	f, ok := scanFloat(b[0], major, n)
	if !ok {
		return nil, nil, errSimple
	}
	dst, err = appendJSONFloat(dst, f)
	return dst, rest, err
}

func appendJSONList(dst, b []byte, levels int) (out, rest []byte, err error) {
	n, rest, ok := readList(b, majorArray)
	if !ok {
		return nil, nil, errTruncated
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, rest, err = appendJSON(dst, rest, levels-1); err != nil {
			return nil, nil, err
		}
	}
	return append(dst, ']'), rest, nil
}

func appendJSONMap(dst, b []byte, levels int) (out, rest []byte, err error) {
	n, rest, ok := readList(b, majorMap)
	if !ok || n > len(rest)/2 {
		return nil, nil, errTruncated
	}
	type pair struct {
		key string
		val []byte
	}
	pairs := make([]pair, n)
	escape := false
	for i := range pairs {
		p := &pairs[i]
		if p.key, rest, err = jsonKey(rest); err != nil {
			return nil, nil, err
		}
		if p.val, rest, err = split(rest, levels-1); err != nil {
			return nil, nil, err
		}
		escape = escape || p.key == keyMap || n == 1 && (p.key == keyBytes || p.key == keyRef || p.key == keyRef64)
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	if escape {
		dst = append(dst, `{"`+keyMap+`":`...)
	}
	dst = append(dst, '{')
	for i, p := range pairs {
		if i > 0 {
			if p.key == pairs[i-1].key {
				return nil, nil, errJSONTwice
			}
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, p.key), ':')
		if dst, _, err = appendJSON(dst, p.val, levels-1); err != nil {
			return nil, nil, err
		}
	}
	dst = append(dst, '}')
	if escape {
		dst = append(dst, '}')
	}
	return dst, rest, nil
}

func jsonKey(b []byte) (key string, rest []byte, err error) {
	major, n, rest, ok := readHead(b)
	switch {
	case !ok:
		return "", nil, errTruncated
	case major == majorUint:
		return strconv.FormatUint(n, 10), rest, nil
	case major == majorNint:
		return string(appendNegative(nil, n)), rest, nil
	case major == majorText && n > uint64(len(rest)):
		return "", nil, errTruncated
	case major == majorText && utf8.Valid(rest[:n]):
		return string(rest[:n]), rest[n:], nil
	}
	return "", nil, errJSONKey
}

func appendJSONTag(dst, b []byte, levels int) (out, rest []byte, err error) {
	item, rest, err := split(b, levels)
	if err != nil {
		return nil, nil, err
	}
	if key, ok := scanRef(item); ok {
		return appendRef(dst, key), rest, nil
	}
	a, ok, err := readArray(item)
	if err != nil {
		return nil, nil, err
	}
	if ok {
		dst, err = a.appendJSON(dst)
		return dst, rest, err
	}
	_, tag, content, _ := readHead(item)
	if kind, digits := lift(content); (tag == 2 || tag == 3) && kind == Bytes {
		i := new(big.Int).SetBytes(digits)
		if tag == 3 {
			i.Not(i) // -1 - i
		}
		return i.Append(dst, 10), rest, nil
	}
	dst, _, err = appendJSON(dst, content, levels-1)
	return dst, rest, err
}

func (a array) appendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, '[')
	for i := range a.len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch a.class {
		case floats:
			var err error
			if dst, err = appendJSONFloat(dst, a.float(i)); err != nil {
				return nil, err
			}
		case signedInts:
			dst = strconv.AppendInt(dst, a.signed(i), 10)
		default:
			dst = strconv.AppendUint(dst, a.bits(i), 10)
		}
	}
	return append(dst, ']'), nil
}

// appendNegative writes -1 - n, which an int64 may not hold.
func appendNegative(dst []byte, n uint64) []byte {
	if n == math.MaxUint64 {
		return append(dst, "-18446744073709551616"...)
	}
	return strconv.AppendUint(append(dst, '-'), n+1, 10)
}

// appendJSONFloat writes f as encoding/json does, but 1 as 1.0.
func appendJSONFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errNotFinite
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	at := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	if format == 'f' && !slices.Contains(dst[at:], '.') {
		dst = append(dst, ".0"...)
	}
	return dst, nil
}

func appendRef(dst, key []byte) []byte {
	if utf8.Valid(key) {
		return appendObject(dst, keyRef, string(key))
	}
	return appendObject(dst, keyRef64, base64.StdEncoding.EncodeToString(key))
}

func appendText(dst, s []byte) []byte {
	if utf8.Valid(s) {
		return appendString(dst, string(s))
	}
	return appendObject(dst, keyBytes, base64.StdEncoding.EncodeToString(s))
}

func appendObject(dst []byte, key, s string) []byte {
	dst = append(appendString(append(dst, '{'), key), ':')
	return append(appendString(dst, s), '}')
}

// appendString quotes s, which is UTF-8.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
