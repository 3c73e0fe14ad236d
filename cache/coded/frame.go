package coded

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// What lenders and their clients say to each other, over TCP. The lender begins with a hello; the client's first request
// follows a proof that it knows the namespace's secret. Then requests are answered one at a time. Numbers are big-endian.
//
//	hello     version 1, zeros 7, nonce 16
//	proof     HMAC-SHA256(secret, "squall lender 1", nonce, namespace)
//	request   version 1, op 1, column 2, stripe 4, version of the object 16, size 4, key's length 2, zeros 2, sum 8, expires 8
//	          then the key, then size bytes
//	response  version 1, status 1, retry after in ms 2, size 4, sum 8; then size bytes: a shard, a list, or words
const (
	protocol     = 1
	nonceLen     = 16
	helloLen     = 8 + nonceLen
	proofLen     = 32
	requestLen   = 48
	responseLen  = 16
	maxWords     = 4 << 10
	maxList      = 16 << 20
	everyColumn  = math.MaxUint16
	maxKey       = kvs.MaxKey - len(catalogPrefix)
	proofPurpose = "squall lender 1"
)

type op uint8

const (
	opGet  op = 1
	opPut  op = 2
	opSeal op = 3
	opDrop op = 4
	opHeld op = 5 // of a version; of all where it is zero
	// opRetire: another version is current
	opRetire op = 6
)

type request struct {
	op      op
	id      lend.ID
	stripe  uint32
	size    int
	key     string
	sum     uint64
	expires time.Time
}

func (r *request) append(b []byte) []byte {
	b = append(b, protocol, byte(r.op))
	b = binary.BigEndian.AppendUint16(b, r.id.Column)
	b = binary.BigEndian.AppendUint32(b, r.stripe)
	b = append(b, r.id.Version[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.key)))
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint64(b, r.sum)
	ms := int64(0)
	if !r.expires.IsZero() {
		ms = r.expires.UnixMilli()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(ms))
	return append(b, r.key...)
}

// parseRequest reads the head of a request; its key follows, of so many bytes.
func parseRequest(b []byte) (r request, key int, err error) {
	if b[0] != protocol {
		return r, 0, fault.New(fault.Unsupported, "a request in version %d of the lenders' protocol, this node speaks version %d: bring both to the same release", b[0], protocol)
	}
	r = request{
		op: op(b[1]), id: lend.ID{Version: lend.Version(b[8:24]), Column: binary.BigEndian.Uint16(b[2:])},
		stripe: binary.BigEndian.Uint32(b[4:]), size: int(binary.BigEndian.Uint32(b[24:])), sum: binary.BigEndian.Uint64(b[32:]),
	}
	key = int(binary.BigEndian.Uint16(b[28:]))
	if ms := int64(binary.BigEndian.Uint64(b[40:])); ms != 0 {
		r.expires = time.UnixMilli(ms)
	}
	switch {
	case r.op < opGet || r.op > opRetire:
		err = fault.New(fault.Unsupported, "request %d is of a later version of Squall: upgrade this lender", r.op)
	case key > maxKey:
		err = fault.New(fault.InvalidKey, "a key of %d bytes: at most %d are allowed", key, maxKey)
	case r.op == opPut && (r.size < 1 || r.size > layout.ShardBytes), r.op != opPut && r.size != 0:
		err = fault.New(fault.InvalidArgument, "a request with %d bytes: a shard has 1 to %d, and only put has one", r.size, layout.ShardBytes)
	}
	return r, key, err
}

// status is a response's, append-only.
type status uint8

var statuses = []fault.Code{
	0: "", 1: fault.NotFound, 2: fault.Overloaded, 3: fault.Unavailable, 4: fault.Unauthorized, 5: fault.InvalidArgument,
	6: fault.Unsupported, 7: fault.Internal, 8: fault.InvalidKey, 9: fault.Conflict,
}

func statusOf(code fault.Code) status {
	for i, c := range statuses {
		if c == code {
			return status(i)
		}
	}
	return 3
}

type response struct {
	status     status
	retryAfter time.Duration
	size       int
	sum        uint64
}

func (r *response) append(b []byte) []byte {
	b = append(b, protocol, byte(r.status))
	b = binary.BigEndian.AppendUint16(b, uint16(min(r.retryAfter.Milliseconds(), math.MaxUint16)))
	b = binary.BigEndian.AppendUint32(b, uint32(r.size))
	return binary.BigEndian.AppendUint64(b, r.sum)
}

func parseResponse(b []byte) (response, error) {
	r := response{
		status: status(b[1]), retryAfter: time.Duration(binary.BigEndian.Uint16(b[2:])) * time.Millisecond,
		size: int(binary.BigEndian.Uint32(b[4:])), sum: binary.BigEndian.Uint64(b[8:]),
	}
	if b[0] != protocol {
		return r, fault.New(fault.Unsupported, "answers in version %d of the lenders' protocol, this node speaks version %d: bring both to the same release", b[0], protocol)
	}
	if most := maxList; r.size > most || r.status != 0 && r.size > maxWords {
		return r, fault.New(fault.Unavailable, "announces %d bytes, which cannot be", r.size)
	}
	return r, nil
}

// sum is a shard's checksum: over what it is and its bytes, so that another shard, of another version for instance, does
// not pass for it. It is made by who wrote the object and checked by who reads it; the lender only carries it.
type sum struct{ xxhash.Digest }

func newSum(id lend.ID, stripe uint32) *sum {
	s := &sum{}
	s.Reset()
	var b [22]byte
	copy(b[:], id.Version[:])
	binary.BigEndian.PutUint16(b[16:], id.Column)
	binary.BigEndian.PutUint32(b[18:], stripe)
	_, _ = s.Write(b[:]) // never fails
	return s
}

func sumOf(id lend.ID, stripe uint32, shard []byte) uint64 {
	s := newSum(id, stripe)
	_, _ = s.Write(shard)
	return s.Sum64()
}
