package wire

import (
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

// Operations on runs.
const (
	OpAwait   = "await"   // RunOp: answered with the Outcome, now or when it is there
	OpCancel  = "cancel"  // RunOp: answered with the state
	OpStatus  = "status"  // RunOp: answered with the state
	OpInquire = "inquire" // Inquiry
)

// RunOp is an operation on one run.
type RunOp struct {
	Run   id.Run `cbor:"1,keyasint"`
	Reply string `cbor:"2,keyasint,omitempty"` // OpAwait: where the Outcome goes
}

func (*RunOp) wireType() Type { return TypeRunOp }

// Inquiry asks which runs are alive. A coordinator that knows an ended one has its reply sent again.
type Inquiry struct {
	Runs  []id.Run `cbor:"1,keyasint"`
	Reply string   `cbor:"2,keyasint"`
}

func (*Inquiry) wireType() Type { return TypeInquiry }

// Administrative operations.
const (
	OpPutFunction    = "put-function"
	OpRemoveFunction = "remove-function"
	OpListFunctions  = "list-functions"
	OpPutDAG         = "put-dag"
	OpGetDAG         = "get-dag"
	OpRemoveDAG      = "remove-dag"
	OpListDAGs       = "list-dags"
	OpMembers        = "members"
	OpRuns           = "runs"
	OpProfiles       = "profiles"
)

// Admin is an administrative request; which fields it needs depends on the operation.
type Admin struct {
	Name     string        `cbor:"1,keyasint,omitempty"`
	Function *runtime.Spec `cbor:"2,keyasint,omitempty"` // OpPutFunction; the code is stored under CodeKey before
	Graph    []byte        `cbor:"3,keyasint,omitempty"` // OpPutDAG: dag.Encode
	Limit    int           `cbor:"4,keyasint,omitempty"`
}

func (*Admin) wireType() Type { return TypeAdmin }

// Answer is a coordinator's answer to RunOp, Inquiry and Admin.
type Answer struct {
	Err       *fault.Error   `cbor:"1,keyasint,omitempty"`
	Functions []runtime.Spec `cbor:"2,keyasint,omitempty"`
	Graphs    []GraphInfo    `cbor:"3,keyasint,omitempty"`
	Graph     []byte         `cbor:"4,keyasint,omitempty"`
	Members   []Member       `cbor:"5,keyasint,omitempty"`
	Runs      []RunInfo      `cbor:"6,keyasint,omitempty"`
	States    []State        `cbor:"7,keyasint,omitempty"` // Inquiry: by position
	Version   string         `cbor:"8,keyasint,omitempty"` // of what was put
	From      Peer           `cbor:"9,keyasint,omitempty"`
	Profiles  []byte         `cbor:"10,keyasint,omitempty"` // OpProfiles: profile.Book.Encode, of the DAG's functions and of links
}

func (*Answer) wireType() Type { return TypeAnswer }

// GraphInfo is one registered DAG.
type GraphInfo struct {
	Name    string   `cbor:"1,keyasint"`
	Version string   `cbor:"2,keyasint"`
	Inputs  []string `cbor:"3,keyasint,omitempty"`
	Outputs []string `cbor:"4,keyasint,omitempty"`
	Nodes   int      `cbor:"5,keyasint"`
}

// Member is one executor as a coordinator sees it.
type Member struct {
	Heartbeat Heartbeat `cbor:"1,keyasint"`
	Age       int64     `cbor:"2,keyasint"` // nanoseconds since its last heartbeat
	Suspect   bool      `cbor:"3,keyasint,omitempty"`
}

// RunInfo is one run as people list it.
type RunInfo struct {
	Run     id.Run       `cbor:"1,keyasint"`
	Target  Target       `cbor:"2,keyasint"`
	Name    string       `cbor:"3,keyasint"`
	State   State        `cbor:"4,keyasint"`
	Started int64        `cbor:"5,keyasint"` // Unix nanoseconds
	Ended   int64        `cbor:"6,keyasint,omitempty"`
	Err     *fault.Error `cbor:"7,keyasint,omitempty"`
	Durable bool         `cbor:"8,keyasint,omitempty"`
	Epoch   uint32       `cbor:"9,keyasint,omitempty"`
}
