package lattice

import (
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Type says what a state is and how its bytes are to be read. The numbers are those of stored bytes: append-only, and a
// type whose encoding changes gets a new one.
type Type uint8

// The types, see the package comment.
const (
	TypeRegister   Type = 1
	TypeMultiValue Type = 2
	TypeCounter    Type = 3
	TypeGrowSet    Type = 4
	TypeSet        Type = 5
	TypeMap        Type = 6
	TypeMax        Type = 7
	TypeMin        Type = 8
)

// String names the type as error messages do.
func (t Type) String() string {
	switch t {
	case TypeRegister:
		return "register"
	case TypeMultiValue:
		return "multivalue"
	case TypeCounter:
		return "counter"
	case TypeGrowSet:
		return "growset"
	case TypeSet:
		return "set"
	case TypeMap:
		return "map"
	case TypeMax:
		return "max"
	case TypeMin:
		return "min"
	}
	return "unknown type"
}

// State is a point of a join semilattice: one of Register, MultiValue, Counter, GrowSet, Set, Map, Max and Min. The zero
// value of each is its least state. States are immutable and safe for concurrent use.
type State interface {
	Type() Type
	// Join is the least state that is above both. It is wrong_type for a state of another Type, and for a Max or Min of
	// numbers with one of text.
	Join(State) (State, error)
	// Read gives what a reader sees; Null where nothing was written yet.
	Read() value.Value
	// Append appends the encoding, type byte first, to dst. It is wrong_type for a value that has none, which what came
	// from Apply or Decode never has.
	Append(dst []byte) ([]byte, error)
	// Size is about how many bytes of memory the state holds.
	Size() int

	// appendItem is Append without the type byte.
	appendItem(dst []byte) ([]byte, error)
}

// Decode reads the encoding that Append wrote and nothing else: other bytes are invalid_argument, and a type of a later
// release is unsupported. It keeps b, which the caller gives up writing to.
func Decode(b []byte) (State, error) {
	if len(b) == 0 {
		return nil, fault.New(fault.InvalidArgument, "no bytes are no lattice: the first one must be its type")
	}
	t := Type(b[0])
	r := reader{b: b[1:]}
	var s State
	switch t {
	case TypeRegister, TypeCounter, TypeGrowSet, TypeMax, TypeMin:
		s = r.plain(t)
	case TypeMultiValue:
		s = r.multiValue()
	case TypeSet:
		s = r.set()
	case TypeMap:
		s = r.tree()
	default:
		return nil, fault.New(fault.Unsupported, "lattice type %d is of a later version of Squall: upgrade this node", t)
	}
	if err := r.end(t.String()); err != nil {
		return nil, err
	}
	return s, nil
}

// plain reads a state without dots.
func (r *reader) plain(t Type) State {
	switch t {
	case TypeRegister:
		return r.register()
	case TypeCounter:
		return r.counter()
	case TypeGrowSet:
		return r.growSet()
	case TypeMax:
		return Max{r.extreme()}
	}
	return Min{r.extreme()}
}

// encode is every Append.
func encode(s State, dst []byte) ([]byte, error) { return s.appendItem(append(dst, byte(s.Type()))) }

// notJoined is what Join answers to a state of another type.
func notJoined(a, b State) error {
	if b == nil {
		return fault.New(fault.Internal, "a %s cannot be joined with nothing: keep it as it is", a.Type())
	}
	return fault.New(fault.WrongType, "a %s and a %s cannot be merged: the key was made as both at once; delete it, and use one type", a.Type(), b.Type())
}
