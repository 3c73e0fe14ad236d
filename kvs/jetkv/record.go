package jetkv

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// recordVersion is the first byte of every stored message. A reader refuses versions that it does not know; what can be
// added within one is header fields, which older readers skip.
const recordVersion = 1

// recordType is the second byte. Append-only.
type recordType byte

const (
	typeValue     recordType = 1 // header, then the payload, which is empty if it is in chunks
	typeTombstone recordType = 2 // header: the key was deleted
	typeChunk     recordType = 3 // no header, a part of a payload
	typeMark      recordType = 4 // nothing, or of a witness its batch's write id: see DESIGN.md
)

// header of a value or a tombstone: a CBOR map with integer keys, right before the payload.
type header struct {
	Key   []byte `cbor:"1,keyasint,omitempty"` // where the subject holds only its hash
	Kind  uint8  `cbor:"2,keyasint,omitempty"` // the value's
	Size  uint64 `cbor:"3,keyasint,omitempty"` // bytes of payload
	Part  uint64 `cbor:"4,keyasint,omitempty"` // bytes per chunk but the last; 0: the payload follows here
	Write uint64 `cbor:"5,keyasint"`           // random: tells a writer its own record, and names the chunks
	TTL   uint64 `cbor:"6,keyasint,omitempty"` // seconds
	// Sums are the chunks' xxhash64 checksums.
	Sums []uint64 `cbor:"7,keyasint,omitempty"`
	Meta []byte   `cbor:"8,keyasint,omitempty"` // the writer's
}

// record is a decoded message under a key's own subject.
type record struct {
	header
	typ     recordType
	payload []byte
}

var (
	headerEnc = func() cbor.EncMode {
		m, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	headerDec = func() cbor.DecMode {
		m, err := cbor.DecOptions{MaxNestedLevels: 8, MaxArrayElements: 1 << 16, MaxMapPairs: 1 << 10}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

// encode gives the message that stores r.
func (r *record) encode() ([]byte, error) {
	h, err := headerEnc.Marshal(&r.header)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the header of a record: %w", err)
	}
	b := make([]byte, 0, 2+len(h)+len(r.payload))
	b = append(b, recordVersion, byte(r.typ))
	b = append(b, h...)
	return append(b, r.payload...), nil
}

// decodeRecord reads what encode wrote; it keeps b.
func decodeRecord(b []byte) (*record, error) {
	typ, rest, err := decodeEnvelope(b)
	if err != nil {
		return nil, err
	}
	r := &record{typ: typ}
	switch typ {
	case typeValue, typeTombstone:
	default:
		return nil, fault.New(fault.Unsupported, "a record of type %d where a value was expected: upgrade this node", typ)
	}
	if r.payload, err = headerDec.UnmarshalFirst(rest, &r.header); err != nil {
		return nil, corrupt("the header of a record: %v", err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// check holds the header against the payload before anybody allocates by it.
func (r *record) check() error {
	if len(r.Key) > kvs.MaxKey {
		return corrupt("a record holds a key of %d bytes", len(r.Key))
	}
	switch {
	case len(r.Meta) > kvs.MaxMeta:
		return corrupt("a record holds %d bytes of meta data, over the limit of %d", len(r.Meta), kvs.MaxMeta)
	case r.typ == typeTombstone:
		return nil
	case r.Size > kvs.MaxValue:
		return corrupt("a record claims %d bytes, over the limit of %d", r.Size, kvs.MaxValue)
	case r.Part == 0 && uint64(len(r.payload)) != r.Size:
		return corrupt("a record claims %d bytes and holds %d", r.Size, len(r.payload))
	case r.Part != 0 && (r.Part > kvs.MaxValue || len(r.payload) != 0 || uint64(len(r.Sums)) != (r.Size+r.Part-1)/r.Part):
		return corrupt("a record of %d bytes in chunks of %d has %d checksums", r.Size, r.Part, len(r.Sums))
	}
	return nil
}

// value gives the record's value around its payload.
func (r *record) value(payload []byte) (value.Value, error) {
	kind := value.Kind(r.Kind)
	return value.FromPayload(kind, value.Align(kind, payload))
}

// chunk gives the bounds of chunk n.
func (r *record) chunk(n int) (from, to uint64) {
	from = uint64(n) * r.Part
	return from, min(from+r.Part, r.Size)
}

func appendChunk(b, part []byte) []byte {
	b = slices.Grow(b, 2+len(part))
	return append(append(b, recordVersion, byte(typeChunk)), part...)
}

func decodeChunk(b []byte) ([]byte, error) {
	typ, part, err := decodeEnvelope(b)
	if err != nil {
		return nil, err
	}
	if typ != typeChunk {
		return nil, corrupt("a record of type %d where a chunk was expected", typ)
	}
	return part, nil
}

func encodeMark() []byte { return []byte{recordVersion, byte(typeMark)} }

// encodeWitness is the mark that tells which batch it was stored with.
func encodeWitness(id uint64) []byte { return binary.BigEndian.AppendUint64(encodeMark(), id) }

// isWitness reports whether b is the witness of batch id.
func isWitness(b []byte, id uint64) bool { return bytes.Equal(b, encodeWitness(id)) }

func decodeEnvelope(b []byte) (recordType, []byte, error) {
	if len(b) < 2 {
		return 0, nil, corrupt("a record of %d bytes", len(b))
	}
	if b[0] != recordVersion {
		return 0, nil, fault.New(fault.Unsupported, "a record of version %d: this node reads version %d; upgrade it", b[0], recordVersion)
	}
	return recordType(b[1]), b[2:], nil
}

// corrupt is what a reader says of stored bytes that cannot be right: they are never served, and reading them again
// does not help.
func corrupt(format string, args ...any) error {
	return fault.New(fault.Unavailable, "the store holds corrupt data: "+format+"; restore the key, or delete it", args...).
		With(func(e *fault.Error) { e.Final = true })
}
