package wire

import (
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/kvs"
)

// Target says what a call names.
type Target uint8

// The targets.
const (
	TargetDAG      Target = 1
	TargetFunction Target = 2
)

// String names the target as messages do.
func (t Target) String() string {
	if t == TargetDAG {
		return "DAG"
	}
	return "function"
}

// Mode says how a call is answered and what survives.
type Mode uint8

// The modes.
const (
	Sync    Mode = 0 // answered by its outcome; nothing is stored
	Async   Mode = 1 // answered when admitted; the outcome is stored
	Durable Mode = 2 // a flag beside Async or alone: stored before anything is answered
	Kept    Mode = 4 // a flag: the outcome is stored, because others may ask for this run by an idempotency key
)

// Async reports whether the caller is answered at admission.
func (m Mode) Async() bool { return m&Async != 0 }

// Durable reports whether the run is stored before it is answered.
func (m Mode) Durable() bool { return m&Durable != 0 }

// Recorded reports whether the outcome is stored.
func (m Mode) Recorded() bool { return m != Sync }

// Call asks for a run. The caller mints Run, so that a repeated Call names the same run.
type Call struct {
	Run       id.Run    `cbor:"1,keyasint"`
	Target    Target    `cbor:"2,keyasint"`
	Name      string    `cbor:"3,keyasint"`
	Inputs    []string  `cbor:"4,keyasint,omitempty"` // names, for a DAG; a function's are positions
	Values    []Value   `cbor:"5,keyasint"`
	Reply     string    `cbor:"6,keyasint"`
	Remaining Remaining `cbor:"7,keyasint,omitempty"`
	Mode      Mode      `cbor:"8,keyasint,omitempty"`
	Depth     int       `cbor:"9,keyasint,omitempty"` // how many functions are waiting above this call
	Trace     bool      `cbor:"10,keyasint,omitempty"`
	Level     kvs.Level `cbor:"11,keyasint,omitempty"`
	Ack       kvs.Ack   `cbor:"12,keyasint,omitempty"` // of the functions' writes
	Priority  int       `cbor:"13,keyasint,omitempty"` // among the calls of its application that wait; -10 to 10
}

func (*Call) wireType() Type { return TypeCall }

// State of a run.
type State uint8

// The states.
const (
	Running   State = 1
	Succeeded State = 2
	Errored   State = 3
	Unknown   State = 4
)

// String names the state as people read it.
func (s State) String() string {
	switch s {
	case Running:
		return "running"
	case Succeeded:
		return "succeeded"
	case Errored:
		return "failed"
	}
	return "unknown"
}

// Outcome answers a Call, or tells that it was admitted (State Running).
type Outcome struct {
	Run     id.Run       `cbor:"1,keyasint"`
	State   State        `cbor:"2,keyasint"`
	Names   []string     `cbor:"3,keyasint,omitempty"` // of the outputs
	Values  []Value      `cbor:"4,keyasint,omitempty"`
	Err     *fault.Error `cbor:"5,keyasint,omitempty"`
	Stats   []NodeStat   `cbor:"6,keyasint,omitempty"` // where time went, if the call asked for a trace
	Stored  bool         `cbor:"7,keyasint,omitempty"` // the outcome is in the run's record
	Elapsed int64        `cbor:"8,keyasint,omitempty"` // nanoseconds at the collector, from first value to last
}

func (*Outcome) wireType() Type { return TypeOutcome }

// NodeStat is where the time of one node went, over all its invocations.
type NodeStat struct {
	Node  int    `cbor:"1,keyasint"`
	Count int    `cbor:"2,keyasint"`
	Busy  int64  `cbor:"3,keyasint"` // nanoseconds inside the function
	Wait  int64  `cbor:"4,keyasint"` // nanoseconds waiting for a slot
	Tries int    `cbor:"5,keyasint"` // invocations that were repeats
	Max   int64  `cbor:"6,keyasint"` // nanoseconds of the longest
	Name  string `cbor:"7,keyasint,omitempty"`
}

// Header is what every executor of a run knows about it: the slice of the plan that it needs.
type Header struct {
	Run       id.Run    `cbor:"1,keyasint"`
	Spec      string    `cbor:"2,keyasint"` // hash of the Spec record
	Plan      dag.Plan  `cbor:"3,keyasint"`
	Executors []Peer    `cbor:"4,keyasint"` // by site
	Owner     Peer      `cbor:"5,keyasint"`
	Reply     string    `cbor:"6,keyasint"`
	Remaining Remaining `cbor:"7,keyasint,omitempty"`
	Mode      Mode      `cbor:"8,keyasint,omitempty"`
	Depth     int       `cbor:"9,keyasint,omitempty"`
	Trace     bool      `cbor:"10,keyasint,omitempty"`
	Record    uint64    `cbor:"11,keyasint,omitempty"` // revision of the run's record; 0 where there is none
	What      *What     `cbor:"12,keyasint,omitempty"` // for the record of its outcome; recorded runs only
	Level     kvs.Level `cbor:"13,keyasint,omitempty"`
	Ack       kvs.Ack   `cbor:"14,keyasint,omitempty"`
	// Began is the epoch in which the run began anew, from its inputs; parts of it that are of earlier epochs are over.
	Began uint32 `cbor:"15,keyasint,omitempty"`
}

// What a run is of, as people read it.
type What struct {
	Target  Target `cbor:"1,keyasint"`
	Name    string `cbor:"2,keyasint"`
	Started int64  `cbor:"3,keyasint"` // Unix nanoseconds
}

// Sourced is a source's value.
type Sourced struct {
	Source dag.Source `cbor:"1,keyasint"`
	Value  Value      `cbor:"2,keyasint"`
	// Session is what the invocations that the value comes from have seen and done (cache/session), where the run's level
	// has it travel.
	Session []byte `cbor:"3,keyasint,omitempty"`
}

// Deliver brings values for a run to a site: from the owner the inputs, from another site a node's output.
type Deliver struct {
	Header Header     `cbor:"1,keyasint"`
	Values []Sourced  `cbor:"2,keyasint,omitempty"`
	Stats  []NodeStat `cbor:"3,keyasint,omitempty"`
	Credit uint64     `cbor:"4,keyasint,omitempty"` // the owner's at the receiver that this spends; 0 spends none
	Absent []Absence  `cbor:"5,keyasint,omitempty"`
}

func (*Deliver) wireType() Type { return TypeDeliver }

// Exec asks an executor to run one item of a Map whose home is elsewhere.
type Exec struct {
	Run        id.Run         `cbor:"1,keyasint"`
	Epoch      uint32         `cbor:"2,keyasint"`
	Spec       string         `cbor:"3,keyasint"`
	Invocation dag.Invocation `cbor:"4,keyasint"`
	Args       []Value        `cbor:"5,keyasint"`
	Remaining  Remaining      `cbor:"6,keyasint,omitempty"`
	Depth      int            `cbor:"7,keyasint,omitempty"`
	Level      kvs.Level      `cbor:"8,keyasint,omitempty"`
	Ack        kvs.Ack        `cbor:"9,keyasint,omitempty"`
	Session    []byte         `cbor:"10,keyasint,omitempty"`
	Home       string         `cbor:"11,keyasint,omitempty"` // the executor that is the run's version home
	Began      uint32         `cbor:"12,keyasint,omitempty"`
	Mode       Mode           `cbor:"13,keyasint,omitempty"`
}

func (*Exec) wireType() Type { return TypeExec }

// Result answers an Exec.
type Result struct {
	Run        id.Run         `cbor:"1,keyasint"`
	Epoch      uint32         `cbor:"2,keyasint"`
	Invocation dag.Invocation `cbor:"3,keyasint"`
	Value      Value          `cbor:"4,keyasint"`
	Err        *fault.Error   `cbor:"5,keyasint,omitempty"`
	Busy       int64          `cbor:"6,keyasint,omitempty"`
	Wait       int64          `cbor:"7,keyasint,omitempty"`
	Session    []byte         `cbor:"8,keyasint,omitempty"`
}

func (*Result) wireType() Type { return TypeResult }

// Failure tells a run's collector that a node elsewhere has failed for good.
type Failure struct {
	Run   id.Run       `cbor:"1,keyasint"`
	Epoch uint32       `cbor:"2,keyasint"`
	Err   *fault.Error `cbor:"3,keyasint"`
	// Header is for a collector that has not heard of the run yet.
	Header *Header `cbor:"4,keyasint,omitempty"`
}

func (*Failure) wireType() Type { return TypeFailure }

// Release tells an executor to let go of runs that have ended. It says so of epochs up to the one given: a collector
// or home that was given up for lost knows nothing of the epochs after it, in which the run goes on.
type Release struct {
	Runs   []id.Run `cbor:"1,keyasint"`
	Epochs []uint32 `cbor:"2,keyasint"` // by position
}

// Add puts one more run in.
func (m *Release) Add(run id.Run, epoch uint32) {
	m.Runs, m.Epochs = append(m.Runs, run), append(m.Epochs, epoch)
}

func (*Release) wireType() Type { return TypeRelease }

// Again tells a run's owner that it has to begin anew: what it has read cannot be had any more, or its transaction met
// another write. Its collector sends it in place of an answer.
type Again struct {
	Run   id.Run       `cbor:"1,keyasint"`
	Epoch uint32       `cbor:"2,keyasint"`
	Err   *fault.Error `cbor:"3,keyasint"`
}

func (*Again) wireType() Type { return TypeAgain }

// Report tells an owner which of its runs have ended, and how busy the sender is.
type Report struct {
	Ended []Ended `cbor:"1,keyasint"`
	Load  *Load   `cbor:"2,keyasint,omitempty"`
}

func (*Report) wireType() Type { return TypeReport }

// Ended is one run's end.
type Ended struct {
	Run   id.Run     `cbor:"1,keyasint"`
	Epoch uint32     `cbor:"2,keyasint"`
	Code  fault.Code `cbor:"3,keyasint,omitempty"` // empty for success
	Why   string     `cbor:"4,keyasint,omitempty"` // in words
}

// Err is the failure, or nil for success.
func (e Ended) Err() *fault.Error {
	if e.Code == "" {
		return nil
	}
	return fault.New(e.Code, "%s", e.Why)
}
