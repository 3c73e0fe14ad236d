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
}

func (*Heartbeat) wireType() Type { return TypeHeartbeat }
