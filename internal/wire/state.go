package wire

import "github.com/squall-faas/squall/fault"

// AskKind says what a node asks another's cache.
type AskKind uint8

// The kinds.
const (
	AskOwned  AskKind = 1 // for the value of a key that it owns
	AskPinned AskKind = 2 // for a version that a run has read there
	AskClaim  AskKind = 3 // for the judgement of a run's version home
	AskStore  AskKind = 4 // to store a value that it holds, because its data port is out of reach; Key is the ID, Run the version
)

// Ask is a question to another node's cache, sent to Subjects.Cache; Told answers it.
type Ask struct {
	Kind AskKind `cbor:"1,keyasint"`
	App  string  `cbor:"2,keyasint,omitempty"`
	Run  string  `cbor:"3,keyasint,omitempty"`
	Key  string  `cbor:"4,keyasint"`
	Body []byte  `cbor:"5,keyasint,omitempty"` // AskPinned: a session.Read; AskClaim: a cache.Claim
	Port string  `cbor:"6,keyasint,omitempty"` // the asking node's data port, which may serve what it was given
}

func (*Ask) wireType() Type { return TypeAsk }

// Told answers an Ask.
type Told struct {
	Err  *fault.Error `cbor:"1,keyasint,omitempty"`
	Body []byte       `cbor:"2,keyasint,omitempty"` // AskClaim: a cache.Claimed; else the version's entry, where it is small
	// Where a value is too large for a message: it is fetched from the data port.
	Port       string   `cbor:"3,keyasint,omitempty"`
	Size       int64    `cbor:"4,keyasint,omitempty"`
	Ref        string   `cbor:"5,keyasint,omitempty"`
	Capability []byte   `cbor:"6,keyasint,omitempty"`
	Others     []string `cbor:"7,keyasint,omitempty"` // data ports of other nodes that have the same
	Spread     int      `cbor:"8,keyasint,omitempty"` // over how many owners the key is spread by now
}

func (*Told) wireType() Type { return TypeTold }

// Effects is the record of an invocation of a durable run that writes: created once, before anything of it is written, so
// that of several executions exactly one has effects.
type Effects struct {
	Output Value    `cbor:"1,keyasint"`
	Writes [][]byte `cbor:"2,keyasint,omitempty"` // version.Mutations
}

func (*Effects) wireType() Type { return TypeEffects }

// Cache is where other nodes ask an executor's cache.
func (s Subjects) Cache(executor string) string { return s.prefix + "cache." + executor }
