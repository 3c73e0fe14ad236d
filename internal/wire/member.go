package wire

import "github.com/squall-faas/squall/executor/runtime"

// Condition of an executor.
type Condition uint8

// The conditions.
const (
	Up       Condition = 1
	Draining Condition = 2 // finishes what it has and takes nothing new
	Left     Condition = 3 // the last heartbeat of this incarnation
)

// String names the condition.
func (c Condition) String() string {
	switch c {
	case Up:
		return "up"
	case Draining:
		return "draining"
	case Left:
		return "left"
	}
	return "unknown"
}

// Heartbeat announces an executor: who it is, what it can run and how busy it is.
type Heartbeat struct {
	From      Peer           `cbor:"1,keyasint"`
	Condition Condition      `cbor:"2,keyasint"`
	Slots     int            `cbor:"3,keyasint"`
	Busy      int            `cbor:"4,keyasint"`
	Queued    int            `cbor:"5,keyasint"`
	Runs      int            `cbor:"6,keyasint"`
	Natives   []runtime.Spec `cbor:"7,keyasint,omitempty"` // native functions compiled in
	Kinds     []runtime.Kind `cbor:"8,keyasint,omitempty"` // other runtimes it has
	CacheLen  int64          `cbor:"9,keyasint,omitempty"` // bytes cached
	Release   string         `cbor:"10,keyasint,omitempty"`
	Now       int64          `cbor:"11,keyasint,omitempty"` // the sender's clock, Unix nanoseconds
	Port      string         `cbor:"12,keyasint,omitempty"` // its data port, host:port
	Apps      []string       `cbor:"13,keyasint,omitempty"` // applications that have a cachelet there
	Mean      int64          `cbor:"14,keyasint,omitempty"` // nanoseconds that an invocation holds its slot, recently
	Grants    []Grant        `cbor:"15,keyasint,omitempty"` // to the coordinators that have claimed some
	Credits   bool           `cbor:"16,keyasint,omitempty"` // it grants credits: work is sent against them alone
	Keys      []byte         `cbor:"17,keyasint,omitempty"` // an update of the digest of its cached keys (sched.Digest)
}

func (*Heartbeat) wireType() Type { return TypeHeartbeat }
