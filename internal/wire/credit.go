package wire

import "github.com/squall-faas/squall/internal/id"

// The messages by which work is bound only against a free slot (ADR 12, internal/sched).
const (
	TypeClaim Type = 36 // coordinator → executor: grant me credits
	TypeBusy  Type = 37 // executor → owner: a run was not begun; place it anew
)

// Grant is what an executor has granted to one coordinator.
type Grant struct {
	To     Peer   `cbor:"1,keyasint"`
	Limit  uint64 `cbor:"2,keyasint"` // the highest credit that may be spent; they are numbered from 1
	Spent  uint64 `cbor:"3,keyasint"` // the highest that has arrived
	Serial uint64 `cbor:"4,keyasint"` // of the executor's grants: the higher one is newer
}

// Load is an executor's, at the moment.
type Load struct {
	Busy   int   `cbor:"1,keyasint"`           // slots
	Queued int   `cbor:"2,keyasint"`           // invocations that wait for one
	Mean   int64 `cbor:"3,keyasint,omitempty"` // nanoseconds that an invocation holds its slot, recently
	Grant  Grant `cbor:"4,keyasint"`           // to the receiver
}

// Claim makes a coordinator known to an executor as one that sends work.
type Claim struct{}

func (*Claim) wireType() Type { return TypeClaim }

// Busy tells a run's owner that nothing of it has been begun here and that there is no slot for it: place it anew.
type Busy struct {
	Run   id.Run `cbor:"1,keyasint"`
	Epoch uint32 `cbor:"2,keyasint"`
	Load  *Load  `cbor:"3,keyasint,omitempty"`
	Kept  bool   `cbor:"4,keyasint,omitempty"` // it stays in line here until its owner takes it away
}

func (*Busy) wireType() Type { return TypeBusy }
