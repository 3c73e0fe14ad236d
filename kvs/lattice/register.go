package lattice

import (
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// Register holds one value: the last writer's, which is the one with the highest stamp (Anna §5, LWW).
type Register struct {
	Stamp hlc.Stamp
	Value value.Value
}

// Type is TypeRegister.
func (r Register) Type() Type { return TypeRegister }

// Join is the register with the higher stamp. Equal stamps with different values, which only clocks that share a node
// number make, still have to converge: then the higher wire form wins.
func (r Register) Join(other State) (State, error) {
	o, ok := other.(Register)
	if !ok {
		return nil, notJoined(r, other)
	}
	newer, err := later(r.Stamp, r.Value, o.Stamp, o.Value)
	if err != nil {
		return nil, err
	}
	if newer {
		return o, nil
	}
	return r, nil
}

// later reports whether the second write wins over the first.
func later(s hlc.Stamp, v value.Value, t hlc.Stamp, w value.Value) (bool, error) {
	if c := s.Compare(t); c != 0 {
		return c < 0, nil
	}
	c, err := compareWire(v, w)
	return c < 0, err
}

// Read is the value.
func (r Register) Read() value.Value { return r.Value }

// Append appends the encoding.
func (r Register) Append(dst []byte) ([]byte, error) { return encode(r, dst) }

func (r Register) appendItem(dst []byte) ([]byte, error) {
	return appendValue(appendStamp(appendList(dst, 3), r.Stamp), r.Value)
}

func (r *reader) register() Register {
	r.tuple(3)
	return Register{Stamp: r.stamp(), Value: r.value()}
}

// Size is the value's and the stamp's.
func (r Register) Size() int { return 16 + r.Value.Size() }
