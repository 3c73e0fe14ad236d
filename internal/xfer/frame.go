package xfer

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

// The format, version 1; docs/formats/xfer.md describes it.
const (
	protocol = 1 // the version
	opRead   = 1
	opShare  = 2 // a node that does not know it, or the next, refuses it and closes the connection
	opChunks = 3

	requestHead    = 4
	maxRequestBody = 8 + 4 + 2 + MaxToken + 2 + MaxToken + 1 + math.MaxUint8
	responseHead   = 24

	maxWords = 1 << 10 // bytes of a refusal's text

	// MaxRange is the most bytes that one request may ask for.
	MaxRange = 16 << 20
)

// request asks for one range of a value; a length of 0 asks for its size alone.
type request struct {
	op         byte // 0 is opRead
	ref        Ref
	capability Capability
	offset     int64
	length     int
}

func (r *request) append(b []byte) []byte {
	body := 8 + 4 + 2 + len(r.ref.Key) + 2 + len(r.ref.Version) + 1 + len(r.capability)
	b = append(b, protocol, max(r.op, opRead))
	b = binary.BigEndian.AppendUint16(b, uint16(body))
	b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
	b = binary.BigEndian.AppendUint32(b, uint32(r.length))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.ref.Key)))
	b = append(b, r.ref.Key...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.ref.Version)))
	b = append(b, r.ref.Version...)
	b = append(b, uint8(len(r.capability)))
	return append(b, r.capability...)
}

func checkVersion(v byte) error {
	if v != protocol {
		return fault.New(fault.Unsupported, "version %d of the transfer protocol: this node speaks version %d; bring both to the same release", v, protocol)
	}
	return nil
}

// requestBody reads the head of a request, requestHead bytes: how long its body is.
func requestBody(head []byte) (int, error) {
	if err := checkVersion(head[0]); err != nil {
		return 0, err
	}
	if head[1] < opRead || head[1] > opChunks {
		return 0, fault.New(fault.Unsupported, "operation %d: this node knows only those from %d, read, to %d, chunks; bring both to the same release", head[1], opRead, opChunks)
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if n > maxRequestBody {
		return 0, fault.New(fault.TooLarge, "a request of %d bytes: at most %d", n, maxRequestBody)
	}
	return n, nil
}

// parseRequest reads a body. The capability is a part of it.
func parseRequest(body []byte) (request, error) {
	var r request
	bad := func(what string) (request, error) {
		return request{}, fault.New(fault.InvalidArgument, "a request of %d bytes that %s", len(body), what)
	}
	if len(body) < 12 {
		return bad("ends within its range")
	}
	offset, length := binary.BigEndian.Uint64(body), binary.BigEndian.Uint32(body[8:])
	if offset > math.MaxInt64-MaxRange {
		return bad("asks for an offset over 2^63")
	}
	if length > MaxRange {
		return request{}, fault.New(fault.TooLarge, "a range of %d bytes: ask for at most %d at a time", length, MaxRange)
	}
	r.offset, r.length = int64(offset), int(length)
	rest := body[12:]
	for _, token := range []*string{&r.ref.Key, &r.ref.Version} {
		if len(rest) < 2 {
			return bad("ends within its reference")
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; len(rest) < n {
			return bad("ends within its reference")
		}
		*token, rest = string(rest[:n]), rest[n:]
	}
	if len(rest) < 1 || len(rest) != 1+int(rest[0]) {
		return bad("does not end with its capability")
	}
	r.capability = rest[1:]
	return r, r.ref.check()
}

// response is what stands before the bytes of a range, or before the words of a refusal.
type response struct {
	status     status
	retryAfter time.Duration // of a refusal; to the millisecond, at most 65 s
	size       int           // bytes that follow
	total      int64         // bytes of the whole value; 0 in a refusal
	sum        uint64        // xxhash64 of the bytes that follow
}

func (r *response) append(b []byte) []byte {
	retry := min(max(r.retryAfter.Milliseconds(), 0), math.MaxUint16)
	b = append(b, protocol, uint8(r.status))
	b = binary.BigEndian.AppendUint16(b, uint16(retry))
	b = binary.BigEndian.AppendUint32(b, uint32(r.size))
	b = binary.BigEndian.AppendUint64(b, uint64(r.total))
	return binary.BigEndian.AppendUint64(b, r.sum)
}

// parseResponse reads responseHead bytes. The head of a refusal is the same in all versions, so that a node of another
// one can say so.
func parseResponse(b []byte) (response, error) {
	r := response{
		status:     status(b[1]),
		retryAfter: time.Duration(binary.BigEndian.Uint16(b[2:])) * time.Millisecond,
		size:       int(binary.BigEndian.Uint32(b[4:])),
		sum:        binary.BigEndian.Uint64(b[16:]),
	}
	total := binary.BigEndian.Uint64(b[8:])
	r.total = int64(total)
	switch {
	case b[0] != protocol && r.status == statusOK:
		return r, fault.New(fault.Unsupported, "answers in version %d of the transfer protocol, this node speaks version %d: bring both to the same release", b[0], protocol)
	case r.status != statusOK && r.size > maxWords:
		return r, fault.New(fault.Unavailable, "refuses in %d bytes, at most %d are read", r.size, maxWords)
	case r.status == statusOK && (r.size > MaxRange || total > math.MaxInt64 || int64(r.size) > r.total):
		return r, fault.New(fault.Unavailable, "announces %d of %d bytes, which cannot be", r.size, total)
	}
	return r, nil
}

// appendRefusal is the whole response that says err.
func appendRefusal(b []byte, err error) []byte {
	s, words, retryAfter := refusal(err)
	words = words[:min(len(words), maxWords)]
	r := response{status: s, retryAfter: retryAfter, size: len(words), sum: xxhash.Sum64String(words)}
	return append(r.append(b), words...)
}
