package dag

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
)

// The envelope in front of an encoded graph: a version and a type.
const (
	encodingVersion = 1
	encodingGraph   = 'G'
)

// plain is a Graph without methods, for the codec.
type plain Graph

var encMode = func() cbor.EncMode {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty
	m, err := opts.EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

var decMode = mustDecMode(cbor.DecOptions{
	DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	IndefLength:      cbor.IndefLengthForbidden,
	MaxNestedLevels:  16,
	MaxArrayElements: MaxNodes + 1, // one more, so that Validate and not the codec says what is wrong
	MaxMapPairs:      1 << 10,
})

// constMode checks constants, with the bounds that package value decodes them in.
var constMode = mustDecMode(cbor.DecOptions{
	IndefLength:      cbor.IndefLengthForbidden,
	MaxNestedLevels:  128,
	MaxArrayElements: MaxSize,
	MaxMapPairs:      MaxSize,
})

func mustDecMode(opts cbor.DecOptions) cbor.DecMode {
	m, err := opts.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

// Encode gives g's bytes: a version byte, a type byte, and deterministic CBOR with integer keys. Equal graphs have
// equal bytes.
func Encode(g *Graph) []byte {
	body, err := encMode.Marshal((*plain)(g))
	if err != nil {
		panic(err) // strings, integers and byte slices always have an encoding
	}
	return append([]byte{encodingVersion, encodingGraph}, body...)
}

// Decode reads what Encode wrote, possibly of a later release with further fields, which are ignored, and validates
// it. b may come from anyone. The graph shares no memory with b. Errors are invalid_dag, invalid_name, and unsupported
// for an encoding of a later major version.
func Decode(b []byte) (*Graph, error) {
	switch {
	case len(b) < 2:
		return nil, fault.New(fault.InvalidDAG, "%d bytes are no graph: the message was cut off", len(b))
	case b[0] != encodingVersion:
		return nil, fault.New(fault.Unsupported, "a graph of encoding version %d: this node speaks %d, upgrade it", b[0], encodingVersion)
	case b[1] != encodingGraph:
		return nil, fault.New(fault.InvalidDAG, "a message of type %d is no graph", b[1])
	}
	g := new(Graph)
	if err := g.UnmarshalCBOR(b[2:]); err != nil {
		return nil, err
	}
	return g, nil
}

// UnmarshalCBOR decodes and validates a graph that is a field of some other message, so that none is ever at large
// without having been validated. Such a field has no envelope of its own.
func (g *Graph) UnmarshalCBOR(b []byte) error {
	if len(b) > MaxSize {
		return fault.New(fault.InvalidDAG, "a graph of %d bytes: at most %d are allowed", len(b), MaxSize)
	}
	var p plain
	if err := decMode.Unmarshal(b, &p); err != nil {
		return fault.New(fault.InvalidDAG, "the graph does not decode: %w", err)
	}
	if more := p.Requires &^ knownFeatures; more != 0 {
		return fault.New(fault.Unsupported, "DAG %.40q needs features %#x that this node does not have: upgrade it", p.Name, uint64(more))
	}
	*g = Graph(p)
	f := &faults{}
	g.check(f)
	return g.seal(f)
}

// Hash names g's content: the SHA-256 of its encoding, in hex. Equal graphs have equal hashes.
func Hash(g *Graph) string {
	sum := sha256.Sum256(Encode(g))
	return hex.EncodeToString(sum[:])
}
