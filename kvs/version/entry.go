package version

import (
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// metaVersion is the first byte of every Meta.
const metaVersion = 1

// meta is what lies beside the value: docs/formats/kv-meta.md.
type meta struct {
	Type    lattice.Type `cbor:"1,keyasint,omitempty"` // 0: a plain register
	Stamp   hlc.Stamp    `cbor:"2,keyasint"`
	Deps    []Dep        `cbor:"3,keyasint,omitempty"`
	Applied []byte       `cbor:"4,keyasint,omitempty"`
	Head    []byte       `cbor:"5,keyasint,omitempty"` // of a multi-value register: its clock, dots and stamps
	After   uint64       `cbor:"6,keyasint,omitempty"`
	// Expires is when the TTL ends, in Unix microseconds: stores round up, and one that is rounded at every update would
	// never end.
	Expires int64 `cbor:"7,keyasint,omitempty"`
}

var (
	metaEnc = func() cbor.EncMode {
		m, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	metaDec = func() cbor.DecMode {
		m, err := cbor.DecOptions{MaxNestedLevels: 16, MaxArrayElements: 1 << 16, MaxMapPairs: 1 << 16, UTF8: cbor.UTF8DecodeInvalid}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

// Open reads an entry. One without Meta is a plain register, written when the store says. Errors: unsupported for a Meta
// of a later release, unavailable (final) for one that cannot be right.
func Open(e kvs.Entry) (*Version, error) {
	v := &Version{
		Key: e.Key, Value: e.Value, Revision: e.Revision, Absent: e.Deleted || e.Revision == 0,
		Written: e.Written, Expires: e.Expires,
	}
	if v.Absent {
		v.Value = value.Value{}
	}
	if len(e.Meta) == 0 {
		if !e.Written.IsZero() {
			v.Stamp = hlc.At(e.Written, 0)
		}
		return v, nil
	}
	if e.Meta[0] != metaVersion {
		return nil, fault.New(fault.Unsupported, "key %.64q was written in version %d of its format: this node knows %d; upgrade it", string(e.Key), e.Meta[0], metaVersion)
	}
	var m meta
	if err := metaDec.Unmarshal(e.Meta[1:], &m); err != nil {
		return nil, corrupt(e.Key, err)
	}
	v.Stamp, v.Deps, v.After = m.Stamp, m.Deps, m.After
	if m.Expires != 0 && !v.Absent {
		v.Expires = time.UnixMicro(m.Expires).UTC()
	}
	var err error
	if !slices.IsSortedFunc(v.Deps, byKey) {
		return nil, corrupt(e.Key, fault.New(fault.InvalidArgument, "its dependencies are not in order"))
	}
	if len(m.Applied) > 0 {
		if v.Applied, err = lattice.DecodeWindow(m.Applied); err != nil {
			return nil, corrupt(e.Key, err)
		}
	}
	switch m.Type {
	case 0:
	case lattice.TypeMultiValue:
		err = v.openMulti(&m)
	default:
		if !v.Absent {
			err = v.openState(m.Type)
		}
	}
	if err != nil {
		return nil, corrupt(e.Key, err)
	}
	return v, nil
}

func corrupt(key kvs.Key, err error) error {
	return fault.New(fault.Unavailable, "what is stored beside key %.64q cannot be read; put the key again, or delete it: %w", string(key), err).
		With(func(e *fault.Error) { e.Final = true })
}

func (v *Version) openState(t lattice.Type) error {
	b, err := value.As[[]byte](v.Value)
	if err != nil {
		return err
	}
	if v.State, err = lattice.Decode(b); err != nil {
		return err
	}
	if v.State.Type() != t {
		return fault.New(fault.WrongType, "a %v where a %v was said to be", v.State.Type(), t)
	}
	v.Value = v.State.Read()
	return nil
}

func (v *Version) openMulti(m *meta) error {
	multi, err := lattice.DecodeHead(m.Head)
	if err != nil {
		return err
	}
	values := []value.Value{v.Value}
	switch {
	case v.Absent:
		values = nil
	case len(multi.Siblings) > 1:
		if values, err = value.As[[]value.Value](v.Value); err != nil {
			return err
		}
	}
	if len(values) != len(multi.Siblings) {
		return fault.New(fault.WrongType, "%d values for %d siblings", len(values), len(multi.Siblings))
	}
	for i := range values {
		multi.Siblings[i].Value = values[i]
	}
	v.State, v.Value = multi, multi.Read()
	return nil
}

// Write is the write that stores v where the key is at revision expect.
func (v *Version) Write(expect kvs.Revision) (kvs.Write, error) {
	w := kvs.Write{Key: v.Key, Value: v.Value, Delete: v.Absent, Expect: expect}
	m := meta{Stamp: v.Stamp, Deps: v.Deps, After: v.After}
	if !v.Expires.IsZero() && !v.Absent {
		m.Expires = v.Expires.UnixMicro()
		w.Options.TTL = max(v.Expires.Sub(v.Stamp.Wall()), time.Second)
	}
	if v.Applied.Len() > 0 {
		m.Applied = v.Applied.Append(nil)
	}
	var err error
	switch s := v.State.(type) {
	case nil:
	case lattice.MultiValue:
		m.Type = lattice.TypeMultiValue
		m.Head, err = s.AppendHead(nil)
		if len(s.Siblings) > 1 {
			values := make([]value.Value, len(s.Siblings))
			for i := range values {
				values[i] = s.Siblings[i].Value
			}
			w.Value = value.List(values)
		}
	default:
		if v.Absent {
			break
		}
		m.Type = s.Type()
		var b []byte
		if b, err = s.Append(nil); err != nil {
			return w, err
		}
		w.Value = value.MustOf(b) // bytes always are a value
	}
	if err != nil {
		return w, err
	}
	body, err := metaEnc.Marshal(&m)
	if err != nil {
		return w, fault.New(fault.Internal, "encode what lies beside key %.64q: %w", string(v.Key), err)
	}
	w.Options.Meta = append([]byte{metaVersion}, body...)
	return w, nil
}

// Stored is v as it is once it was stored at revision rev.
func (v *Version) Stored(rev kvs.Revision) *Version {
	out := *v
	out.Revision = rev
	return &out
}
