package lattice

import (
	"bytes"
	"unicode/utf8"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

const (
	// MaxName is the longest name of a field in bytes.
	MaxName = 1 << 10
	// maxDepth bounds how many maps nest.
	maxDepth = 16
)

// OpKind says what an op does. The numbers are those of stored bytes: append-only.
type OpKind uint8

// The kinds, and the type that each wants.
const (
	Assign      OpKind = 1  // register: Arg is the new value
	Add         OpKind = 2  // counter: Arg is an integer, which may be negative
	Insert      OpKind = 3  // set: Arg goes in
	Remove      OpKind = 4  // set: Arg goes out
	GrowInsert  OpKind = 5  // growset: Arg goes in
	Field       OpKind = 6  // map: Inner is applied to Field
	RemoveField OpKind = 7  // map: Field goes out
	Raise       OpKind = 8  // max: to Arg, a number or text, if that is greater
	Lower       OpKind = 9  // min: to Arg, a number or text, if that is less
	AssignMulti OpKind = 10 // multivalue: Arg replaces all siblings that the state has
)

// kinds gives the word of a kind, as ParseOp reads it, and the type that it wants.
var kinds = [...]struct {
	word string
	on   Type
}{
	Assign:      {"assign", TypeRegister},
	Add:         {"add", TypeCounter},
	Insert:      {"insert", TypeSet},
	Remove:      {"remove", TypeSet},
	GrowInsert:  {"grow", TypeGrowSet},
	Field:       {"field", TypeMap},
	RemoveField: {"remove-field", TypeMap},
	Raise:       {"max", TypeMax},
	Lower:       {"min", TypeMin},
	AssignMulti: {"assign-multi", TypeMultiValue},
}

// String is the word that ParseOp reads.
func (k OpKind) String() string {
	if !k.known() {
		return "unknown operation"
	}
	return kinds[k].word
}

// On is the type of state that the kind wants; 0 for a kind of a later release.
func (k OpKind) On() Type {
	if !k.known() {
		return 0
	}
	return kinds[k].on
}

func (k OpKind) known() bool { return k >= Assign && int(k) < len(kinds) }

// Op is an update of a state, before it is known which. Immutable.
type Op struct {
	Kind  OpKind
	Arg   value.Value // of all but Field and RemoveField
	Field string      // of Field and RemoveField: 1 to MaxName bytes of UTF-8
	Inner *Op         // of Field
}

// By tells who applies an op, and when. Stamps order the writes of registers and siblings.
type By struct {
	Actor uint64 // see the package comment
	Stamp hlc.Stamp
}

// check refuses an op that makes no sense as it stands, and gives it with its argument encoded.
func (o Op) check(depth int) (Op, error) {
	onField := o.Kind == Field || o.Kind == RemoveField
	switch {
	case !o.Kind.known():
		return o, fault.New(fault.Unsupported, "operation %d is of a later version of Squall: upgrade this node", o.Kind)
	case !onField && o.Field != "" || onField && !o.Arg.IsNull() || (o.Kind == Field) != (o.Inner != nil):
		return o, fault.New(fault.InvalidArgument, "the operation %s is malformed: field and remove-field have a Field, field an Inner, and all others an Arg", o.Kind)
	case onField && depth == 0:
		return o, fault.New(fault.InvalidArgument, "the operation goes more than %d fields deep: use fewer levels, or several keys", maxDepth)
	case onField:
		if err := checkName(o.Field); err != nil {
			return o, err
		}
	}
	var err error
	switch o.Kind {
	case Field:
		var inner Op
		inner, err = o.Inner.check(depth - 1)
		o.Inner = &inner
	case RemoveField:
	case Add:
		_, err = integer(o.Arg)
	case Raise, Lower:
		if o.Arg, err = frozen(o.Arg); err == nil {
			err = checkExtreme(o.Arg)
		}
	default:
		o.Arg, err = frozen(o.Arg)
	}
	return o, err
}

func checkName(name string) error {
	switch {
	case name == "":
		return fault.New(fault.InvalidArgument, "the name of a field is empty: give it 1 to %d bytes", MaxName)
	case len(name) > MaxName:
		return fault.New(fault.InvalidArgument, "the name of a field has %d bytes: at most %d are allowed", len(name), MaxName)
	case !utf8.ValidString(name):
		return fault.New(fault.InvalidArgument, "the name of a field %.40q is not UTF-8: encode it as text", name)
	}
	return nil
}

// species is what a field must hold for the op.
func (o Op) species() species {
	if o.Kind == Raise || o.Kind == Lower {
		return speciesOfExtreme(o.Kind.On(), o.Arg)
	}
	return species(o.Kind.On())
}

func speciesOfExtreme(t Type, v value.Value) species {
	if v.Kind() == value.Text {
		return species(t) | overText
	}
	return species(t)
}

// removes reports whether the op can only take away, so that it makes nothing where nothing is.
func (o Op) removes() bool {
	if o.Kind == Field {
		return o.Inner.removes()
	}
	return o.Kind == Remove || o.Kind == RemoveField
}

// AppendOp appends the encoding of op to dst: one item of CBOR in deterministic form, [kind, arg], [kind, field] or
// [kind, field, inner]. It refuses what Apply would refuse whatever the state.
func AppendOp(dst []byte, op Op) ([]byte, error) {
	op, err := op.check(maxDepth)
	if err != nil {
		return nil, err
	}
	return op.append(dst)
}

func (o Op) append(dst []byte) ([]byte, error) {
	items := 2
	if o.Kind == Field {
		items = 3
	}
	dst = appendUint(appendList(dst, items), uint64(o.Kind))
	if o.Kind != Field && o.Kind != RemoveField {
		return appendValue(dst, o.Arg)
	}
	dst = append(appendHead(dst, majorText, uint64(len(o.Field))), o.Field...)
	if o.Kind == Field {
		return o.Inner.append(dst)
	}
	return dst, nil
}

// DecodeOp reads what AppendOp wrote and nothing else: other bytes are invalid_argument, or wrong_type for an argument
// that the kind does not take; a kind of a later release is unsupported. It keeps b.
func DecodeOp(b []byte) (Op, error) {
	r := reader{b: b}
	op := r.op(maxDepth)
	if err := r.end("operation"); err != nil {
		return Op{}, err
	}
	if _, err := op.check(maxDepth); err != nil {
		return Op{}, err
	}
	return op, nil
}

func (r *reader) op(depth int) Op {
	items := r.head(majorList)
	n := r.uint()
	o := Op{Kind: OpKind(min(n, 0xff))}
	want := uint64(2)
	if o.Kind == Field {
		want = 3
	}
	switch {
	case r.err != nil:
		return Op{}
	case !o.Kind.known():
		if n == 0 {
			r.fail(errRange)
		}
		r.fail(fault.New(fault.Unsupported, "operation %d is of a later version of Squall: upgrade this node", n))
		return Op{}
	case items != want:
		r.fail(errItem)
	case o.Kind != Field && o.Kind != RemoveField:
		o.Arg = r.value()
		return o
	}
	o.Field = r.text()
	if o.Kind == Field {
		if depth == 0 {
			r.fail(errDeep)
			return Op{}
		}
		inner := r.op(depth - 1)
		o.Inner = &inner
	}
	return o
}

// MarshalCBOR lets an Op be a field of a struct or an element of a list.
func (o Op) MarshalCBOR() ([]byte, error) { return AppendOp(nil, o) }

// UnmarshalCBOR is MarshalCBOR's inverse. It copies b.
func (o *Op) UnmarshalCBOR(b []byte) error {
	op, err := DecodeOp(bytes.Clone(b))
	if err != nil {
		return err
	}
	*o = op
	return nil
}
