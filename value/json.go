package value

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/squall-faas/squall/fault"
)

// What JSON lacks stands in an object of one key:
//
//	{"$bytes":"aGk="}   bytes, in standard base64; also text that is not UTF-8
//	{"$ref":"key"}      a reference
//	{"$ref64":"/w=="}   a reference whose key is not UTF-8
//	{"$map":{…}}        a map that would otherwise be taken for one of these
const (
	keyBytes = "$bytes"
	keyRef   = "$ref"
	keyRef64 = "$ref64"
	keyMap   = "$map"
)

// FromJSON makes a Value of a JSON document: a string is Text, a number without fraction or exponent that fits an
// int64 or uint64 an integer, any other number a float64, null is Null; arrays and objects are CBOR, an array of
// numbers a plain list that fits numeric slices. The objects {"$bytes":…}, {"$ref":…}, {"$ref64":…} and {"$map":…} of
// one key mean what JSON writes by them. It is invalid_argument for malformed JSON, a string that is not UTF-8, a
// key that occurs twice, a number that fits no float64, and more than 64 levels. It does not keep b.
func FromJSON(b []byte) (Value, error) {
	if !utf8.Valid(b) {
		return Value{}, fault.New(fault.InvalidArgument, "malformed JSON: it is not UTF-8; send other bytes as {%q: base64}", keyBytes)
	}
	if !json.Valid(b) {
		var x json.RawMessage
		return Value{}, fault.New(fault.InvalidArgument, "malformed JSON: %w", json.Unmarshal(b, &x))
	}
	r := jsonReader{in: b}
	out, err := r.value(make([]byte, 0, len(b)), maxDepth, false)
	if err != nil {
		return Value{}, err
	}
	return fromItem(out), nil
}

// jsonReader turns JSON that is known to be valid into CBOR.
type jsonReader struct {
	in []byte
	at int
}

func (r *jsonReader) errorf(format string, args ...any) error {
	return fault.New(fault.InvalidArgument, "JSON at byte %d: "+format, append([]any{r.at}, args...)...)
}

// peek gives the next byte that is no space.
func (r *jsonReader) peek() byte {
	for ; ; r.at++ {
		switch c := r.in[r.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
}

// value appends the next value; an object is a map whatever its key if literal is set.
func (r *jsonReader) value(dst []byte, levels int, literal bool) ([]byte, error) {
	c := r.peek()
	if (c == '{' || c == '[') && levels == 0 {
		return nil, r.errorf("nested more than %d levels deep", maxDepth)
	}
	switch c {
	case '{':
		return r.object(dst, levels, literal)
	case '[':
		return r.array(dst, levels)
	case '"':
		s := r.text()
		return append(appendHead(dst, majorText, uint64(len(s))), s...), nil
	case 't':
		r.at += len("true")
		return append(dst, itemTrue), nil
	case 'f':
		r.at += len("false")
		return append(dst, itemFalse), nil
	case 'n':
		r.at += len("null")
		return append(dst, itemNull), nil
	}
	return r.number(dst)
}

func (r *jsonReader) array(dst []byte, levels int) ([]byte, error) {
	start, n := len(dst), 0
	r.at++
	for r.peek() != ']' {
		if n > 0 {
			r.at++ // the comma
		}
		var err error
		if dst, err = r.value(dst, levels-1, false); err != nil {
			return nil, err
		}
		n++
	}
	r.at++
	return insertHead(dst, start, majorArray, n), nil
}

func (r *jsonReader) object(dst []byte, levels int, literal bool) ([]byte, error) {
	start := len(dst)
	var pairs []span
	var key []byte
	isMap := false // {"$map": …}
	r.at++
	for r.peek() != '}' {
		if len(pairs) > 0 {
			r.at++ // the comma
			r.peek()
		}
		if isMap {
			return nil, r.errorf("an object with the key %s must have no other", keyMap)
		}
		key = r.text()
		isMap = !literal && string(key) == keyMap
		if isMap && len(pairs) > 0 {
			return nil, r.errorf("an object with the key %s must have no other", keyMap)
		}
		p := span{at: len(dst)}
		dst = append(appendHead(dst, majorText, uint64(len(key))), key...)
		p.key = len(dst)
		r.peek()
		r.at++ // the colon
		if isMap && r.peek() != '{' {
			return nil, r.errorf("%s takes an object", keyMap)
		}
		var err error
		if dst, err = r.value(dst, levels-1, isMap); err != nil {
			return nil, err
		}
		p.end = len(dst)
		pairs = append(pairs, p)
	}
	r.at++
	if len(pairs) == 1 && !literal {
		if out, ok, err := r.special(dst, start, pairs[0], string(key)); ok {
			return out, err
		}
	}
	out, twice := sortPairs(dst, start, pairs)
	if twice != nil {
		_, k := lift(twice)
		return nil, r.errorf("the key %q occurs twice in one object", k)
	}
	return out, nil
}

// special replaces the object of one pair that begins at start by what it stands for; ok is false for a plain one.
func (r *jsonReader) special(dst []byte, start int, p span, key string) (out []byte, ok bool, err error) {
	switch key {
	case keyMap:
		return append(dst[:start], dst[p.key:p.end]...), true, nil
	case keyBytes, keyRef, keyRef64:
	default:
		return dst, false, nil
	}
	k, b := lift(dst[p.key:p.end])
	if k != Text {
		return nil, true, r.errorf("%s takes a string", key)
	}
	if key != keyRef {
		raw, err := base64.StdEncoding.Strict().DecodeString(string(b))
		if err != nil {
			return nil, true, r.errorf("%s takes standard base64 with padding: %w", key, err)
		}
		b = raw
	} else {
		b = append([]byte(nil), b...)
	}
	dst = dst[:start]
	if key != keyBytes {
		dst = appendHead(dst, majorTag, refTag)
	}
	return append(appendHead(dst, majorBytes, uint64(len(b))), b...), true, nil
}

// text reads a string.
func (r *jsonReader) text() []byte {
	start := r.at
	plain := true
	for r.at++; r.in[r.at] != '"'; r.at++ {
		if r.in[r.at] == '\\' {
			plain = false
			r.at++
		}
	}
	r.at++
	if plain {
		return r.in[start+1 : r.at-1]
	}
	var s string
	_ = json.Unmarshal(r.in[start:r.at], &s) // cannot go wrong: the document is valid
	return []byte(s)
}

func (r *jsonReader) number(dst []byte) ([]byte, error) {
	start, whole := r.at, true
scan:
	for ; r.at < len(r.in); r.at++ {
		switch r.in[r.at] {
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-':
		case '.', 'e', 'E', '+':
			whole = false
		default:
			break scan
		}
	}
	s := string(r.in[start:r.at])
	if whole {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return appendInt(dst, i), nil
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil {
			return appendHead(dst, majorUint, u), nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, r.errorf("the number %.40s is out of the range of a float64", s)
	}
	return appendFloat(dst, f), nil
}
