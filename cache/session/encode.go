package session

import (
	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// travelling is a State in transit: docs/formats/sessions.md.
type travelling struct {
	Level  kvs.Level         `cbor:"1,keyasint"`
	Reads  map[string]Read   `cbor:"2,keyasint,omitempty"`
	Deps   []version.Dep     `cbor:"3,keyasint,omitempty"`
	After  uint64            `cbor:"4,keyasint,omitempty"`
	Writes map[string]*Write `cbor:"5,keyasint,omitempty"`
	Life   uint64            `cbor:"6,keyasint,omitempty"`
	Met    uint64            `cbor:"7,keyasint,omitempty"`
}

var (
	enc = func() cbor.EncMode {
		m, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	dec = func() cbor.DecMode {
		m, err := cbor.DecOptions{
			MaxNestedLevels: 8, MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 20,
			UTF8: cbor.UTF8DecodeInvalid, // keys are any bytes
		}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

// Encode gives the bytes that travel; nil for nil and for a session that has nothing to say.
func (s *State) Encode() ([]byte, error) {
	if s == nil || s.known.used == 0 && len(s.Writes) == 0 && s.After == 0 && s.Life == 0 && s.Met == 0 {
		return nil, nil
	}
	t := travelling{Level: s.Level, After: s.After, Life: s.Life, Met: s.Met}
	if s.HasRead() {
		t.Reads = make(map[string]Read, len(s.known.reads))
		for k, r := range s.Reads() {
			if s.Level.Causal() && !r.Own {
				r.Context, _ = r.Replaces()
			}
			t.Reads[string(k)] = r
		}
	}
	for _, d := range s.Deps() {
		t.Deps = append(t.Deps, *d)
	}
	version.SortDeps(t.Deps)
	if len(s.Writes) > 0 {
		t.Writes = make(map[string]*Write, len(s.Writes))
		for k, w := range s.Writes {
			if !w.Delete && len(w.Ops) == 0 {
				var err error
				if w.Wire, err = w.Value.Wire(); err != nil {
					return nil, err
				}
			}
			t.Writes[string(k)] = &w
		}
	}
	return enc.Marshal(&t)
}

// Decode reads what Encode wrote; level is that of the run, for nil.
func Decode(level kvs.Level, b []byte) (*State, error) {
	s := New(level)
	if len(b) == 0 {
		return s, nil
	}
	var t travelling
	if err := dec.Unmarshal(b, &t); err != nil {
		return nil, fault.New(fault.Unsupported, "a run's session does not decode: %w", err)
	}
	if t.Level != level {
		return nil, fault.New(fault.Unsupported, "a session of level %v in a run of level %v", t.Level, level)
	}
	s.After, s.Life, s.Met = t.After, t.Life, t.Met
	s.known.grow(len(t.Reads) + len(t.Deps))
	for k, r := range t.Reads {
		if err := kvs.Key(k).Check(); err != nil {
			return nil, err
		}
		s.Adopt(kvs.Key(k), r)
	}
	for i := range t.Deps {
		s.Depends(&t.Deps[i])
	}
	if len(t.Writes) > 0 {
		s.Writes = make(map[kvs.Key]Write, len(t.Writes))
		for k, w := range t.Writes {
			if w == nil {
				return nil, fault.New(fault.Unsupported, "a run's session does not decode: a write without content")
			}
			if !w.Delete && len(w.Ops) == 0 {
				v, err := value.Parse(w.Wire)
				if err != nil {
					return nil, err
				}
				w.Value, w.Wire = v, nil
			}
			s.Writes[kvs.Key(k)] = *w
		}
	}
	return s, nil
}
