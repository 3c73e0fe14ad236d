package wasm

import (
	"encoding/binary"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// The frames of docs/formats/wasm-abi.md, host's half. What a guest sends is hostile until it has been checked.

const (
	statusOK     = 0
	statusFailed = 1
)

func appendU32(dst []byte, n int) []byte { return binary.LittleEndian.AppendUint32(dst, uint32(n)) }

func appendText(dst []byte, s string) []byte { return append(appendU32(dst, len(s)), s...) }

// valuesFrame is a list of values whose payloads have not been copied together.
type valuesFrame struct {
	kinds    []value.Kind
	payloads [][]byte
	size     int
}

// newValuesFrame encodes vs; bytes among them are not copied.
func newValuesFrame(vs []value.Value) (valuesFrame, error) {
	f := valuesFrame{kinds: make([]value.Kind, len(vs)), payloads: make([][]byte, len(vs)), size: 4}
	for i, v := range vs {
		k, b, err := v.Payload()
		if err != nil {
			return f, fault.New(fault.WrongType, "value %d of %d: %w", i+1, len(vs), err)
		}
		f.kinds[i], f.payloads[i] = k, b
		f.size += 4 + 1 + len(b)
	}
	return f, nil
}

// write puts the frame into dst, which has exactly its size.
func (f valuesFrame) write(dst []byte) {
	binary.LittleEndian.PutUint32(dst, uint32(len(f.payloads)))
	at := 4
	for i, b := range f.payloads {
		binary.LittleEndian.PutUint32(dst[at:], uint32(1+len(b)))
		dst[at+4] = byte(f.kinds[i])
		at += 5 + copy(dst[at+5:], b)
	}
}

// appendFailure appends e as the guest reads it.
func appendFailure(dst []byte, e *fault.Error) []byte {
	for _, s := range [...]string{string(e.Code), e.Message, e.Detail, e.Node, e.Function, e.Executor} {
		dst = appendText(dst, s)
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.RetryAfter))
	if e.Final {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// The longest texts of a guest's failure that travel on.
const (
	maxMessage = 8 << 10
	maxDetail  = 16 << 10
)

// parseFailure reads a guest's failure; ok is false for one that does not parse. A code that this version does not
// know becomes function_error.
func parseFailure(b []byte) (_ *fault.Error, ok bool) {
	var texts [6]string
	for i := range texts {
		part, rest, ok := cutPart(b)
		if !ok {
			return nil, false
		}
		limit := maxMessage
		if i == 2 {
			limit = maxDetail
		}
		texts[i], b = string(part[:min(len(part), limit)]), rest
	}
	if len(b) < 9 {
		return nil, false
	}
	e := &fault.Error{
		Code: fault.Code(texts[0]), Message: texts[1], Detail: texts[2], Node: texts[3], Function: texts[4],
		Executor: texts[5], RetryAfter: max(0, time.Duration(binary.LittleEndian.Uint64(b))), Final: b[8] != 0,
	}
	if !e.Code.Known() {
		e.Code = fault.FunctionError
	}
	return e, true
}

// cutPart takes a length-prefixed part off the head of b; both alias b.
func cutPart(b []byte) (part, rest []byte, ok bool) {
	n, b, ok := cutU32(b)
	if !ok || uint64(n) > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

func cutU32(b []byte) (n uint32, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint32(b), b[4:], true
}

// cutCount takes the count of a list whose elements take at least least bytes each, so that a lie about the count
// cannot make the host allocate.
func cutCount(b []byte, least int) (n int, rest []byte, ok bool) {
	c, b, ok := cutU32(b)
	if !ok || uint64(c)*uint64(least) > uint64(len(b)) {
		return 0, nil, false
	}
	return int(c), b, true
}

// parseTexts reads a list of texts.
func parseTexts(b []byte) ([]string, bool) {
	n, b, ok := cutCount(b, 4)
	if !ok {
		return nil, false
	}
	out := make([]string, n)
	for i := range out {
		part, rest, ok := cutPart(b)
		if !ok {
			return nil, false
		}
		out[i], b = string(part), rest
	}
	return out, true
}

// parseValues reads a list of values, which alias b.
func parseValues(b []byte) ([]value.Value, error) {
	n, b, ok := cutCount(b, 5)
	if !ok {
		return nil, errBadFrame
	}
	vs := make([]value.Value, n)
	for i := range vs {
		part, rest, ok := cutPart(b)
		if !ok {
			return nil, errBadFrame
		}
		v, err := value.Parse(part)
		if err != nil {
			return nil, err
		}
		vs[i], b = v, rest
	}
	return vs, nil
}

// parseAddressed reads a value with where it is to go before it: a key, or an invocation's address. Nothing aliases b.
func parseAddressed(b []byte) (to string, v value.Value, err error) {
	part, wire, ok := cutPart(b)
	if !ok {
		return "", v, errBadFrame
	}
	v, err = value.Parse(append([]byte(nil), wire...))
	return string(part), v, err
}

// parsePut reads a key, options and a value. Nothing aliases b.
func parsePut(b []byte) (key string, v value.Value, o fn.PutOptions, err error) {
	part, b, ok := cutPart(b)
	if !ok || len(b) < 8 {
		return "", v, o, errBadFrame
	}
	if o.TTL = time.Duration(binary.LittleEndian.Uint64(b)); o.TTL < 0 {
		return "", v, o, fault.New(fault.InvalidArgument, "the time to live is %v: give 0 for none, or more", o.TTL)
	}
	o.Ack, v, err = parseAddressed(b[8:])
	return string(part), v, o, err
}

// parseUpdate reads a key and an operation. Nothing aliases b.
func parseUpdate(b []byte) (key string, op lattice.Op, err error) {
	part, rest, ok := cutPart(b)
	if !ok {
		return "", op, errBadFrame
	}
	op, err = lattice.DecodeOp(append([]byte(nil), rest...))
	return string(part), op, err
}

// parseNamed reads a list of names with values, which alias b.
func parseNamed(b []byte) (map[string]value.Value, error) {
	n, b, ok := cutCount(b, 9)
	if !ok {
		return nil, errBadFrame
	}
	out := make(map[string]value.Value, n)
	for range n {
		name, rest, ok := cutPart(b)
		if !ok {
			return nil, errBadFrame
		}
		wire, rest, ok := cutPart(rest)
		if !ok {
			return nil, errBadFrame
		}
		v, err := value.Parse(wire)
		if err != nil {
			return nil, err
		}
		out[string(name)], b = v, rest
	}
	return out, nil
}

// appendNamed appends what parseNamed of the guest reads.
func appendNamed(dst []byte, vs map[string]value.Value) ([]byte, error) {
	dst = appendU32(dst, len(vs))
	for name, v := range vs {
		dst = appendText(dst, name)
		at := len(dst)
		out, err := v.Append(append(dst, 0, 0, 0, 0))
		if err != nil {
			return nil, err
		}
		binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-4))
		dst = out
	}
	return dst, nil
}

var errBadFrame = fault.New(fault.InvalidArgument, "the request does not parse: the module does not keep to the ABI, see docs/formats/wasm-abi.md")
