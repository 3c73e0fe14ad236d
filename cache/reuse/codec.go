package reuse

import (
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
)

// An encoded Record is a version byte and, in deterministic CBOR, the seconds since 1970 when it was taken and the
// keys, each an array of five.
const recordVersion = 1

const (
	envelopeBytes = 1 + 1 + 9 + 3 // at most: version, array of two, time, head of the keys

	maxIdle  = time.Duration(math.MaxUint32) * time.Second
	maxBytes = 1 << 50
)

type recordWire struct {
	_     struct{} `cbor:",toarray"`
	Taken int64
	Keys  []keyWire
}

type keyWire struct {
	_       struct{} `cbor:",toarray"`
	Name    []byte   // any bytes are a key; CBOR's text would have to be UTF-8
	Bytes   uint64
	Version uint64
	Hits    uint64
	Idle    uint32 // seconds
}

var recordEnc = func() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

var recordDec = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 4, MaxArrayElements: MaxKeys, MaxMapPairs: 16,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// encodedBytes is what k takes in an encoded record.
func (k Key) encodedBytes() int {
	n := 1 + headBytes(uint64(len(k.Name))) + len(k.Name)
	for _, v := range []uint64{uint64(k.Bytes), k.Version, k.Hits, uint64(k.Idle / time.Second)} {
		n += headBytes(v)
	}
	return n
}

// headBytes is the length of a CBOR item's head that holds v.
func headBytes(v uint64) int {
	switch {
	case v < 24:
		return 1
	case v <= math.MaxUint8:
		return 2
	case v <= math.MaxUint16:
		return 3
	case v <= math.MaxUint32:
		return 5
	}
	return 9
}

// Encode gives the record's bytes, at most MaxEncoded; the same for equal records.
func (r Record) Encode() ([]byte, error) {
	w := recordWire{Taken: r.taken.Unix(), Keys: make([]keyWire, len(r.keys))}
	for i, k := range r.keys {
		w.Keys[i] = keyWire{Name: []byte(k.Name), Bytes: uint64(k.Bytes), Version: k.Version, Hits: k.Hits, Idle: uint32(k.Idle / time.Second)}
	}
	body, err := recordEnc.Marshal(w)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode a record of accesses: %w", err)
	}
	return append([]byte{recordVersion}, body...), nil
}

// DecodeRecord reads what Encode wrote, and refuses as unsupported everything else.
func DecodeRecord(b []byte) (Record, error) {
	switch {
	case len(b) == 0:
		return Record{}, corrupt("it is empty")
	case len(b) > MaxEncoded:
		return Record{}, corrupt("it has %d bytes, over the limit of %d", len(b), MaxEncoded)
	case b[0] != recordVersion:
		return Record{}, fault.New(fault.Unsupported, "a record of accesses of version %d: this node reads version %d; the application starts cold", b[0], recordVersion)
	}
	var w recordWire
	if err := recordDec.Unmarshal(b[1:], &w); err != nil {
		return Record{}, corrupt("%v", err)
	}
	// Years that time.Time can hold and tell apart.
	if w.Taken < -1<<40 || w.Taken > 1<<40 {
		return Record{}, corrupt("it was taken at second %d", w.Taken)
	}
	keys := make([]Key, len(w.Keys))
	seen := make(map[string]bool, len(w.Keys))
	for i, k := range w.Keys {
		keys[i] = Key{Name: string(k.Name), Bytes: int64(k.Bytes), Version: k.Version, Hits: k.Hits, Idle: time.Duration(k.Idle) * time.Second}
		if err := keys[i].check(); err != nil {
			return Record{}, err
		}
		if seen[keys[i].Name] {
			return Record{}, corrupt("it has key %q twice", keys[i].Name)
		}
		seen[keys[i].Name] = true
	}
	return NewRecord(time.Unix(w.Taken, 0), keys), nil
}

func (k Key) check() error {
	switch {
	case k.Name == "" || len(k.Name) > MaxName:
		return corrupt("it has a key of %d bytes", len(k.Name))
	case k.Bytes < 0 || k.Bytes > maxBytes:
		return corrupt("key %q has %d bytes", k.Name, k.Bytes)
	case k.Hits == 0:
		return corrupt("key %q was never hit", k.Name)
	}
	return nil
}

func corrupt(format string, args ...any) error {
	return fault.New(fault.Unsupported, "a record of accesses does not decode: "+format+"; the application starts cold", args...)
}
