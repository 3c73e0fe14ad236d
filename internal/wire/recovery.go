package wire

import (
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

// Cancel ends a run at a site, for the reason given.
type Cancel struct {
	Run   id.Run       `cbor:"1,keyasint"`
	Err   *fault.Error `cbor:"2,keyasint"`
	Epoch uint32       `cbor:"3,keyasint"` // the owner's
}

func (*Cancel) wireType() Type { return TypeCancel }

// Query asks what a site holds of a run. From then on the site does not let go of it for a Release of a lower epoch.
type Query struct {
	Run   id.Run `cbor:"1,keyasint"`
	Epoch uint32 `cbor:"2,keyasint"`
}

func (*Query) wireType() Type { return TypeQuery }

// Held answers a Query.
type Held struct {
	Run     id.Run       `cbor:"1,keyasint"`
	Epoch   uint32       `cbor:"2,keyasint"`
	Sources []dag.Source `cbor:"3,keyasint,omitempty"`
	Ended   bool         `cbor:"4,keyasint,omitempty"` // the site was the collector and has replied
}

func (*Held) wireType() Type { return TypeHeld }

// Replan gives a site a run's new plan after a loss.
type Replan struct {
	Header Header     `cbor:"1,keyasint"`
	Lost   []dag.Site `cbor:"2,keyasint,omitempty"`
	Resend []dag.Send `cbor:"3,keyasint,omitempty"`
	Values []Sourced  `cbor:"4,keyasint,omitempty"` // inputs that the site needs now
}

func (*Replan) wireType() Type { return TypeReplan }

// Spread asks a run's owner who could run the items of a Map.
type Spread struct {
	Run   id.Run `cbor:"1,keyasint"`
	Node  int    `cbor:"2,keyasint"`
	Items int    `cbor:"3,keyasint"`
	Spec  string `cbor:"4,keyasint"`
}

func (*Spread) wireType() Type { return TypeSpread }

// Offers answers a Spread: executors and how many items each will take at once.
type Offers struct {
	Run    id.Run  `cbor:"1,keyasint"`
	Node   int     `cbor:"2,keyasint"`
	Offers []Offer `cbor:"3,keyasint,omitempty"`
}

func (*Offers) wireType() Type { return TypeOffers }

// Offer is one executor's share. The owner makes the executor a site of the run, so that its loss is noticed.
type Offer struct {
	Executor Peer     `cbor:"1,keyasint"`
	Items    int      `cbor:"2,keyasint"`
	Site     dag.Site `cbor:"3,keyasint"`
}
