package wire

import (
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

// What a run with joins and conditions says further.
const (
	TypeDecline  Type = 38 // executor → executor: a node does not need a source
	TypeWithdraw Type = 39 // Map's or hedged node's home → executor: an invocation is of no more use
)

// Absence says that a source will have no value: it was skipped, or has failed with Err.
type Absence struct {
	Source dag.Source   `cbor:"1,keyasint"`
	Err    *fault.Error `cbor:"2,keyasint,omitempty"`
}

// Decline tells the home of a node that another node does not need its value.
type Decline struct {
	Header Header     `cbor:"1,keyasint"` // for a site that has not heard of the run yet
	Source dag.Source `cbor:"2,keyasint"`
	Node   int        `cbor:"3,keyasint"` // the one that does not need it
}

func (*Decline) wireType() Type { return TypeDecline }

// Withdraw takes an Exec back: its result is of no more use, and is not sent.
type Withdraw struct {
	Run        id.Run         `cbor:"1,keyasint"`
	Epoch      uint32         `cbor:"2,keyasint"`
	Invocation dag.Invocation `cbor:"3,keyasint"`
}

func (*Withdraw) wireType() Type { return TypeWithdraw }
