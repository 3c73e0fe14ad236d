package version

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// recorded is a Mutation as it is stored in the record of an invocation's effects.
type recorded struct {
	Kind    Kind              `cbor:"1,keyasint"`
	Key     string            `cbor:"2,keyasint"`
	Value   []byte            `cbor:"3,keyasint,omitempty"` // wire form
	Op      []byte            `cbor:"4,keyasint,omitempty"`
	ID      []byte            `cbor:"5,keyasint,omitempty"`
	Stamp   hlc.Stamp         `cbor:"6,keyasint"`
	TTL     time.Duration     `cbor:"7,keyasint,omitempty"`
	Context map[uint64]uint64 `cbor:"8,keyasint,omitempty"`
	Deps    []Dep             `cbor:"9,keyasint,omitempty"`
	After   uint64            `cbor:"10,keyasint,omitempty"`
	Wins    bool              `cbor:"11,keyasint,omitempty"`
	Over    []hlc.Stamp       `cbor:"12,keyasint,omitempty"`
}

// Encode gives the bytes that DecodeMutation reads.
func (m *Mutation) Encode() ([]byte, error) {
	r := recorded{
		Kind: m.Kind, Key: string(m.Key), Stamp: m.Stamp, TTL: m.TTL, Context: m.Context, Deps: m.Deps, After: m.After, Wins: m.Wins,
	}
	var err error
	switch m.Kind {
	case Assign, Put:
		r.Value, err = m.Value.Wire()
	case Update:
		r.Op, err = lattice.AppendOp(nil, m.Op)
	}
	if err != nil {
		return nil, err
	}
	if m.ID != (lattice.OpID{}) {
		r.ID = m.ID[:]
	}
	r.Over = m.Over
	b, err := metaEnc.Marshal(&r)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode a write to key %.64q: %w", string(m.Key), err)
	}
	return append([]byte{metaVersion}, b...), nil
}

// DecodeMutation reads what Encode wrote. It keeps parts of b.
func DecodeMutation(b []byte) (Mutation, error) {
	if len(b) == 0 || b[0] != metaVersion {
		return Mutation{}, fault.New(fault.Unsupported, "a recorded write of another version of Squall: upgrade this node")
	}
	var r recorded
	if err := metaDec.Unmarshal(b[1:], &r); err != nil {
		return Mutation{}, fault.New(fault.Unsupported, "a recorded write does not decode: %w", err)
	}
	m := Mutation{
		Kind: r.Kind, Key: kvs.Key(r.Key), Stamp: r.Stamp, TTL: r.TTL, Context: r.Context, Deps: r.Deps, After: r.After, Wins: r.Wins,
	}
	m.Over = r.Over
	if len(r.ID) != 0 {
		if len(r.ID) != len(m.ID) {
			return m, fault.New(fault.Unsupported, "a recorded write with an id of %d bytes", len(r.ID))
		}
		m.ID = lattice.OpID(r.ID)
	}
	var err error
	switch {
	case r.Kind == Update:
		m.Op, err = lattice.DecodeOp(r.Op)
	case len(r.Value) > 0:
		m.Value, err = value.Parse(r.Value)
	}
	if err == nil {
		err = m.Key.Check()
	}
	return m, err
}
