package ycsb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

// Version names one write of one record: no two writes of a run have the same, whatever they write. 0 is none.
type Version uint64

// The parts of a Version, from the low bits on.
const (
	sequenceBits = 36
	workerBits   = 12
	runBits      = 64 - workerBits - sequenceBits
)

// NewVersion makes a worker's n-th version in a run; run tells runs apart, of which the low 16 bits count.
func NewVersion(run uint64, worker int, n uint64) Version {
	return Version(run<<(workerBits+sequenceBits) | uint64(worker)&(1<<workerBits-1)<<sequenceBits | n&(1<<sequenceBits-1))
}

// Run is the part that tells runs apart.
func (v Version) Run() uint64 { return uint64(v) >> (workerBits + sequenceBits) }

// Codec makes the bytes of records and verifies them. Bytes follow from the key and the version alone, so what a write
// stored can be told from what any other stored, and from damage.
//
//	'Y'  1  version(8)  checksum(8)  fields(uvarint)  { length(uvarint)  bytes }…
//
// The checksum is of all that follows it, the version and the key. Safe for concurrent use.
type Codec struct {
	Fields int
	Length Range // of a field, in bytes
	z      zipf  // of the lengths, where they are zipfian
}

const (
	recordMagic   = 'Y'
	recordFormat  = 1
	versionAt     = 2
	checksumAt    = versionAt + 8
	fieldsAt      = checksumAt + 8
	maxOfUvarints = 3 // bytes of a field's length, usually one
)

func readCodec(r *reader) Codec {
	c := Codec{
		Fields: int(r.integer("fieldcount", 10, 1, maxFields)),
		Length: Range{
			Kind:  r.text("fieldlengthdistribution", Constant, Constant, Uniform, Zipfian),
			Least: r.integer("minfieldlength", 1, 0, maxRecord), Most: r.integer("fieldlength", 100, 0, maxRecord),
		},
	}
	if c.Length.Least > c.Length.Most {
		if c.Length.Kind != Constant {
			r.fail("minfieldlength", "%d is more than fieldlength, %d: write a smaller one", c.Length.Least, c.Length.Most)
		}
		c.Length.Least = c.Length.Most
	}
	if int64(c.Fields)*(c.Length.Most+maxOfUvarints) > maxRecord {
		r.fail("fieldlength", "%d fields of %d bytes are more than %d bytes: write fewer or shorter ones", c.Fields, c.Length.Most, maxRecord)
		c.Length.Most = c.Length.Least
	}
	c.z = newLengths(c.Length).z
	return c
}

// Append appends the record that version v of key is.
func (c *Codec) Append(dst []byte, key string, v Version) []byte {
	at := len(dst)
	state := xxhash.Sum64String(key) ^ mix64(uint64(v))
	dst = append(dst, recordMagic, recordFormat)
	dst = binary.BigEndian.AppendUint64(dst, uint64(v))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(c.Fields))
	next := c.lengths(state)
	for range c.Fields {
		n := next()
		dst = binary.AppendUvarint(dst, uint64(n))
		dst, state = AppendText(dst, n, state)
	}
	binary.BigEndian.PutUint64(dst[at+checksumAt:], checksum(key, dst[at:]))
	return dst
}

// lengths gives the lengths of a record's fields, one after the other.
func (c *Codec) lengths(seed uint64) func() int64 {
	if c.Length.Kind == Constant || c.Length.Least == c.Length.Most {
		return func() int64 { return c.Length.Most }
	}
	l, r := lengths{Range: c.Length, z: c.z}, rand.New(rand.NewPCG(seed, 0))
	return func() int64 { return l.next(r) }
}

// AppendText appends n bytes of ASCII, six bits of chance each, and gives the state that goes on.
func AppendText(dst []byte, n int64, state uint64) ([]byte, uint64) {
	const six, space = 0x3f3f3f3f3f3f3f3f, 0x2020202020202020
	for ; n >= 8; n -= 8 {
		state++
		dst = binary.LittleEndian.AppendUint64(dst, mix64(state)&six+space)
	}
	state++
	for x := mix64(state); n > 0; n, x = n-1, x>>8 {
		dst = append(dst, byte(x)&0x3f+0x20)
	}
	return dst, state
}

// checksum of a record: of its fields, its version and its key.
func checksum(key string, record []byte) uint64 {
	v := binary.BigEndian.Uint64(record[versionAt:])
	return mix64(xxhash.Sum64(record[fieldsAt:]) ^ mix64(xxhash.Sum64String(key)^mix64(v)))
}

// Check gives the version of a record that was read under key; an error of code internal where it is none, is damaged, or
// is another key's.
func Check(key string, record []byte) (Version, error) {
	if len(record) < fieldsAt+1 || record[0] != recordMagic || record[1] != recordFormat {
		return 0, fault.New(fault.Internal, "what is under key %.64q, %d bytes, is no record: %.16q", key, len(record), record)
	}
	v := Version(binary.BigEndian.Uint64(record[versionAt:]))
	if binary.BigEndian.Uint64(record[checksumAt:]) != checksum(key, record) {
		return v, fault.New(fault.Internal, "the record under key %.64q, %d bytes, version %x, does not match its checksum", key, len(record), uint64(v))
	}
	return v, nil
}

// Same makes the record that its key and version say, and compares every byte: slower than Check, and finds also what a
// checksum cannot, a writer that stored something else from the beginning.
func (c *Codec) Same(key string, record []byte) (Version, error) {
	v, err := Check(key, record)
	if err == nil && !bytes.Equal(record, c.Append(make([]byte, 0, len(record)), key, v)) {
		err = fault.New(fault.Internal, "the record under key %.64q, version %x, is not what this workload writes: load it again with the same fields", key, uint64(v))
	}
	return v, err
}

// String describes records for reports.
func (c *Codec) String() string {
	if c.Length.Kind == Constant {
		return fmt.Sprintf("%d × %d B", c.Fields, c.Length.Most)
	}
	return fmt.Sprintf("%d × %d to %d B, %s", c.Fields, c.Length.Least, c.Length.Most, c.Length.Kind)
}
