package lattice

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// A general codec takes bytes in more than one form and has to be told by hand what order and what bounds hold, so the
// few major types that states consist of (RFC 8949 §3.1) are written and read here.
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorList  = 4
	majorMap   = 5
)

// maxCount bounds the counters of dots in what is decoded, so that the next one never overflows.
const maxCount = 1 << 62

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

func appendList(dst []byte, n int) []byte { return appendHead(dst, majorList, uint64(n)) }

func appendUint(dst []byte, n uint64) []byte { return appendHead(dst, majorUint, n) }

func appendStamp(dst []byte, s hlc.Stamp) []byte { return appendUint(appendUint(dst, s.Time), s.Node) }

func appendDot(dst []byte, d Dot) []byte { return appendUint(appendUint(dst, d.Actor), d.Counter) }

func appendDots(dst []byte, dots []Dot) []byte {
	dst = appendList(dst, 2*len(dots))
	for _, d := range dots {
		dst = appendDot(dst, d)
	}
	return dst
}

func appendBytes[T []byte | string](dst []byte, b T) []byte {
	return append(appendHead(dst, majorBytes, uint64(len(b))), b...)
}

func appendValue(dst []byte, v value.Value) ([]byte, error) {
	v, err := frozen(v)
	if err != nil {
		return nil, err
	}
	return v.Append(appendHead(dst, majorBytes, uint64(1+v.Size())))
}

var (
	errShort   = errors.New("it is cut short")
	errForm    = errors.New("it is not in deterministic form")
	errOrder   = errors.New("its parts are not in order, or one comes twice")
	errItem    = errors.New("another kind of item stands where one is needed")
	errCovered = errors.New("a dot is not covered by the clock")
	errZero    = errors.New("a part that counts nothing")
	errRange   = errors.New("a number is out of range")
	errDeep    = fmt.Errorf("maps are nested more than %d levels deep", maxDepth)
)

// reader reads items from the front of b. After the first error it gives zeros and empty lists, so that callers check
// once, at the end.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// end reports what went wrong, or bytes that are left. What a later release wrote is unsupported, not malformed.
func (r *reader) end(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errors.New("bytes follow its end")
	}
	if r.err == nil || fault.Is(r.err, fault.Unsupported) {
		return r.err
	}
	return fault.New(fault.InvalidArgument, "malformed %s: %w", what, r.err)
}

// head reads the head of an item of the given major type, in its shortest form.
func (r *reader) head(major byte) uint64 {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	first := r.b[0]
	if first>>5 != major {
		r.fail(errItem)
		return 0
	}
	info := first & 31
	if info < 24 {
		r.b = r.b[1:]
		return uint64(info)
	}
	if info > 27 {
		r.fail(errForm)
		return 0
	}
	width := 1 << (info - 24)
	if len(r.b) < 1+width {
		r.fail(errShort)
		return 0
	}
	var n uint64
	for _, c := range r.b[1 : 1+width] {
		n = n<<8 | uint64(c)
	}
	if least := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]; n < least {
		r.fail(errForm)
		return 0
	}
	r.b = r.b[1+width:]
	return n
}

// length reads the head of a list or map of which each part has at least least bytes. It refuses more parts than the
// rest of the bytes can hold, so that a caller may allocate by it.
func (r *reader) length(major byte, least int) int {
	n := r.head(major)
	if n > uint64(len(r.b)/least) {
		r.fail(errShort)
		return 0
	}
	return int(n)
}

// tuple reads the head of a list of exactly n items.
func (r *reader) tuple(n int) {
	if r.head(majorList) != uint64(n) {
		r.fail(errItem)
	}
}

func (r *reader) uint() uint64 { return r.head(majorUint) }

// chunk reads a byte or text string; it is a view.
func (r *reader) chunk(major byte) []byte {
	n := r.head(major)
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// text reads a text string; UTF-8 is part of CBOR's form.
func (r *reader) text() string {
	b := r.chunk(majorText)
	if !utf8.Valid(b) {
		r.fail(errForm)
	}
	return string(b)
}

func (r *reader) stamp() hlc.Stamp { return hlc.Stamp{Time: r.uint(), Node: r.uint()} }

func (r *reader) dot() Dot {
	d := Dot{Actor: r.uint(), Counter: r.uint()}
	if r.err == nil && (d.Counter == 0 || d.Counter > maxCount) {
		r.fail(errRange)
	}
	return d
}

// dots reads one or more dots that clock covers.
func (r *reader) dots(clock VectorClock) []Dot {
	n := r.length(majorList, 1)
	if r.err == nil && (n == 0 || n%2 != 0) {
		r.fail(errItem)
	}
	out := make([]Dot, 0, n/2)
	for i := 0; i < n/2 && r.err == nil; i++ {
		d := r.dot()
		r.placed(i == 0 || d.Compare(out[i-1]) > 0, d, clock)
		out = append(out, d)
	}
	return out
}

func (r *reader) clock() VectorClock {
	n := r.length(majorMap, 2)
	out := make(VectorClock, n)
	last := Dot{}
	for i := 0; i < n && r.err == nil; i++ {
		d := r.dot()
		if i > 0 && d.Actor <= last.Actor {
			r.fail(errOrder)
		}
		out[d.Actor], last = d.Counter, d
	}
	return out
}

// placed checks a dot that was read: its place in the order, and that clock covers it.
func (r *reader) placed(inOrder bool, d Dot, clock VectorClock) {
	switch {
	case r.err != nil:
	case !inOrder:
		r.fail(errOrder)
	case !clock.Covers(d):
		r.fail(errCovered)
	}
}

// value reads a value, which must be in the one form in which Append writes it: Parse itself lifts a CBOR string, say, to
// text, and drops what follows a null.
func (r *reader) value() value.Value {
	wire := r.chunk(majorBytes)
	if r.err != nil {
		return value.Value{}
	}
	v, err := value.Parse(wire)
	switch {
	case err != nil:
		r.fail(err)
	case byte(v.Kind()) != wire[0] || v.Size() != len(wire)-1:
		r.fail(errForm)
	}
	return v
}

// wire reads a value and gives its bytes.
func (r *reader) wire() string {
	at := *r
	r.value()
	if r.err != nil {
		return ""
	}
	return string(at.chunk(majorBytes))
}
