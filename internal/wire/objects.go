package wire

// The messages and records of the erasure-coded tier (cache/coded).
const (
	TypeLender Type = 34 // lender → all: who it is and what it lends
	TypeObject Type = 35 // stored: the current version of an object
)

// Lender announces one that lends memory, at each heartbeat and when what it lends changes.
type Lender struct {
	ID       string `cbor:"1,keyasint"` // of this start of it: one that starts again holds nothing
	Name     string `cbor:"2,keyasint"`
	Host     string `cbor:"3,keyasint,omitempty"` // its failure domain
	Port     string `cbor:"4,keyasint"`           // host:port
	Lent     int64  `cbor:"5,keyasint"`           // bytes
	Used     int64  `cbor:"6,keyasint"`
	Draining bool   `cbor:"7,keyasint,omitempty"` // takes nothing new
	Left     bool   `cbor:"8,keyasint,omitempty"` // the last of this start
	Every    int64  `cbor:"9,keyasint"`           // nanoseconds until the next one comes
}

func (*Lender) wireType() Type { return TypeLender }

// Object is the current version of an object: how it is cut and who holds it. It is replaced by compare-and-set only.
type Object struct {
	Key     string   `cbor:"1,keyasint"`
	Version []byte   `cbor:"2,keyasint"` // 16 bytes
	Seq     uint64   `cbor:"3,keyasint"` // counts the versions of the key
	Size    int64    `cbor:"4,keyasint"`
	Data    int      `cbor:"5,keyasint"`
	Parity  int      `cbor:"6,keyasint"`
	Shard   int      `cbor:"7,keyasint"`
	Holders []string `cbor:"8,keyasint"`           // lenders' ids by column; "" where a column is lost
	Stored  bool     `cbor:"9,keyasint,omitempty"` // in the store as well
	Written int64    `cbor:"10,keyasint"`          // Unix nanoseconds
	Expires int64    `cbor:"11,keyasint,omitempty"`
	Kind    string   `cbor:"12,keyasint,omitempty"` // its author's content type
}

func (*Object) wireType() Type { return TypeObject }

// Lender is where a lender's announcements go.
func (s Subjects) Lender(id string) string { return s.prefix + "lend." + id }

// Lenders matches all of them.
func (s Subjects) Lenders() string { return s.prefix + "lend.*" }

// WhoLends asks all lenders to announce themselves at once.
func (s Subjects) WhoLends() string { return s.prefix + "wholends" }
