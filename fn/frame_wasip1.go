package fn

import (
	"encoding/binary"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Frames are little endian, as WebAssembly is. A list of values or texts is a u32 count and then, each, a u32 length
// and the bytes.

const (
	statusOK     = 0 // a value's wire form or an operation's reply follows
	statusFailed = 1 // a failure follows
)

func leU32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func leU64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func appendU32(dst []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(dst, n) }

func appendText(dst []byte, s string) []byte {
	return append(appendU32(dst, uint32(len(s))), s...)
}

// appendValue appends v's wire form with its length before it.
func appendValue(dst []byte, v value.Value) ([]byte, error) {
	at := len(dst)
	out, err := v.Append(append(dst, 0, 0, 0, 0))
	if err != nil {
		return dst, err
	}
	binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-4))
	return out, nil
}

// appendFailure appends e as docs/formats/wasm-abi.md lays a failure out.
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

// parseFailure reads what the host's half of appendFailure wrote.
func parseFailure(b []byte) error {
	var e fault.Error
	var code string
	for _, s := range [...]*string{&code, &e.Message, &e.Detail, &e.Node, &e.Function, &e.Executor} {
		part, rest, ok := cutPart(b)
		if !ok {
			return errBadReply
		}
		*s, b = string(part), rest
	}
	if len(b) < 9 {
		return errBadReply
	}
	e.Code, e.RetryAfter, e.Final = fault.Code(code), time.Duration(leU64(b)), b[8] != 0
	return &e
}

// cutPart takes a length-prefixed part off the head of b.
func cutPart(b []byte) (part, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := leU32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n : 4+n], b[4+n:], true
}

// parseValues reads a list of values, which alias b.
func parseValues(b []byte) ([]value.Value, error) {
	if len(b) < 4 {
		return nil, errBadReply
	}
	n := leU32(b)
	b = b[4:]
	if uint64(n)*4 > uint64(len(b)) {
		return nil, errBadReply
	}
	vs := make([]value.Value, n)
	for i := range vs {
		part, rest, ok := cutPart(b)
		if !ok {
			return nil, errBadReply
		}
		v, err := value.Parse(part)
		if err != nil {
			return nil, err
		}
		vs[i], b = v, rest
	}
	return vs, nil
}

var errBadReply = fault.New(fault.Internal, "the host sent a frame that does not parse: host and guest disagree about the ABI; build the function again")
