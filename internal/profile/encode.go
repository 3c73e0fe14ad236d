package profile

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
)

// The envelope in front of an encoded book: a version and a type.
const (
	encodingVersion = 1
	encodingBook    = 'P'
)

// MaxSize is what an encoded book has at most, in bytes.
const MaxSize = 64 << 20

// maxName is how long the name of a version or an end may be.
const maxName = 512

type bookForm struct {
	Functions []functionForm `cbor:"1,keyasint,omitempty"`
	Links     []linkForm     `cbor:"2,keyasint,omitempty"`
}

type functionForm struct {
	Version string      `cbor:"1,keyasint"`
	Runs    []Run       `cbor:"2,keyasint,omitempty"`
	Cold    []ColdStart `cbor:"3,keyasint,omitempty"`
	Slow    []countForm `cbor:"4,keyasint,omitempty"` // by bucket
}

type countForm struct {
	Bucket int     `cbor:"1,keyasint"`
	Count  float64 `cbor:"2,keyasint"`
}

type linkForm struct {
	Pair      Pair       `cbor:"1,keyasint"`
	Transfers []Transfer `cbor:"2,keyasint,omitempty"`
}

var encMode, decMode = func() (cbor.EncMode, cbor.DecMode) {
	e, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	d, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, MaxNestedLevels: 8,
		MaxArrayElements: max(MaxFunctions, MaxLinks), MaxMapPairs: 1 << 10,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return e, d
}()

// Encode gives the book's bytes: a version byte, a type byte, and deterministic CBOR with integer keys.
func (b *Book) Encode() []byte {
	var form bookForm
	for _, version := range b.Versions() {
		f := b.functions[version]
		ff := functionForm{Version: version, Runs: f.runs, Cold: f.cold}
		for _, k := range slices.Sorted(maps.Keys(f.slow.counts)) {
			ff.Slow = append(ff.Slow, countForm{k, f.slow.counts[k]})
		}
		form.Functions = append(form.Functions, ff)
	}
	for _, p := range b.Links() {
		form.Links = append(form.Links, linkForm{p, b.links[p].transfers})
	}
	body, err := encMode.Marshal(form)
	if err != nil {
		panic(err) // strings and numbers always have an encoding
	}
	return append([]byte{encodingVersion, encodingBook}, body...)
}

// Decode reads what Encode wrote, possibly of a later release with further fields, which are ignored. bytes may come from
// anyone; they are invalid_argument where they are no book, and unsupported in a later major version's encoding.
func Decode(bytes []byte) (*Book, error) {
	switch {
	case len(bytes) < 2:
		return nil, fault.New(fault.InvalidArgument, "%d bytes are no profiles: the record was cut off", len(bytes))
	case bytes[0] != encodingVersion:
		return nil, fault.New(fault.Unsupported, "profiles of encoding version %d: this node speaks %d, upgrade it", bytes[0], encodingVersion)
	case bytes[1] != encodingBook:
		return nil, fault.New(fault.InvalidArgument, "a record of type %d holds no profiles", bytes[1])
	case len(bytes) > MaxSize:
		return nil, fault.New(fault.InvalidArgument, "profiles of %d bytes: at most %d are allowed", len(bytes), MaxSize)
	}
	var form bookForm
	if err := decMode.Unmarshal(bytes[2:], &form); err != nil {
		return nil, fault.New(fault.InvalidArgument, "the profiles do not decode: %w", err)
	}
	return form.book()
}

func (form *bookForm) book() (*Book, error) {
	b := &Book{functions: map[string]*Function{}, links: map[Pair]*Link{}}
	if len(form.Functions) > MaxFunctions {
		return nil, fault.New(fault.InvalidArgument, "profiles of %d functions: at most %d are allowed", len(form.Functions), MaxFunctions)
	}
	for _, ff := range form.Functions {
		if len(ff.Version) > maxName || len(ff.Runs) > MaxRuns || len(ff.Cold) > MaxRuns {
			return nil, fault.New(fault.InvalidArgument, "the profile of a function is over its bounds: %d runs, %d cold starts", len(ff.Runs), len(ff.Cold))
		}
		f := &Function{}
		for _, r := range ff.Runs {
			if r.In < 0 || r.Out < 0 || r.Took < 0 {
				return nil, fault.New(fault.InvalidArgument, "the profile of %q has a run of a negative size or time", ff.Version)
			}
		}
		for _, c := range ff.Cold {
			if c.Took < 0 {
				return nil, fault.New(fault.InvalidArgument, "the profile of %q has a cold start of negative time", ff.Version)
			}
		}
		for _, c := range ff.Slow {
			if c.Bucket < bucket(sketchLow) || c.Bucket > bucket(sketchHigh) || !(c.Count >= 0 && c.Count < math.MaxInt32) {
				return nil, fault.New(fault.InvalidArgument, "the profile of %q counts %g in bucket %d", ff.Version, c.Count, c.Bucket)
			}
			f.slow.merge(&sketch{map[int]float64{c.Bucket: c.Count}, c.Count})
		}
		f.runs, f.cold = newest(ff.Runs), newestCold(ff.Cold)
		f.since = 1
		b.functions[ff.Version] = f
	}
	for _, lf := range form.Links {
		if len(lf.Pair.From) > maxName || len(lf.Pair.To) > maxName || len(lf.Transfers) > MaxTransfers {
			return nil, fault.New(fault.InvalidArgument, "the profile of a link is over its bounds: %d transfers", len(lf.Transfers))
		}
		for _, t := range lf.Transfers {
			if t.Bytes < 0 || t.Took <= 0 {
				return nil, fault.New(fault.InvalidArgument, "the link %s to %s has a transfer of a negative size or time", lf.Pair.From, lf.Pair.To)
			}
		}
		b.links[lf.Pair] = &Link{newestTransfers(lf.Transfers)}
	}
	return b, nil
}

func comparePairs(a, b Pair) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) }
