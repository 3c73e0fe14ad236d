package dag

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Invocation names one call of a function within a run. Try counts from 1 and grows with each retry.
type Invocation struct {
	Node int `cbor:"1,keyasint"`
	Item int `cbor:"2,keyasint,omitempty"` // 0 for a Call; 1-based element of a Map or step of a Reduce
	Try  int `cbor:"3,keyasint"`
}

// EventKind says what happened.
type EventKind uint8

// What goes into a Run. In brackets the fields of Event that are set.
const (
	// Arrived: a source's value is here [Source, Value]. A source that arrived before is ignored.
	Arrived EventKind = iota + 1
	// Started: the site takes part; nodes that wait for no source may start. Idempotent. Replanned implies it.
	Started
	// Finished: an invocation returned [Invocation, Value, Site]. Site is where it ran: Self, or the site that a Map's
	// item was delegated to. Of several tries the first one counts. Answers of delegated items carry no epoch: a Map's
	// home knows by site and try which it is owed.
	Finished
	// Failed: an invocation failed [Invocation, Err, Site].
	Failed
	// Offered: sites that will run a Map's items [Invocation.Node, Offers]. Offers add up.
	Offered
	// NodeFailed: a node failed for good at another site; arrives at the collector [Err]. A site that does not know yet
	// that it is to be the collector stops, and answers once a plan has told it.
	NodeFailed
	// TimerFired: a timer that the run had set [Timer].
	TimerFired
	// Cancelled: the run is to end now [Err, the reason].
	Cancelled
	// Replanned: the owner moved nodes after a loss [Plan, Lost, Resend, Known]. A Plan.Epoch at or below the run's own
	// is ignored.
	Replanned
)

// Event is one thing that happened to a run.
type Event struct {
	Kind       EventKind
	Source     Source
	Invocation Invocation
	Value      value.Value
	Err        *fault.Error
	Site       Site
	Offers     []Offer
	Timer      Timer
	Plan       Plan
	Lost       []Site   // all sites that are gone by now, in this and in earlier epochs
	Resend     []Send   // outputs kept here that have to be passed again
	Known      []Source // what the owner took this site to hold when it made the plan; nil costs needless Passes only
}

// Offer is what a site will take of a Map: so many items at once, more than it has offered before. Each finished item
// gives its place back.
type Offer struct {
	Site  Site
	Items int
	// Affinity names the executor across runs, such as a hash of its id, so that elements which are references go
	// where an earlier run has taken them. 0 leaves it to the site's number.
	Affinity uint64
}

// Send asks for a source's value to be passed to a site.
type Send struct {
	Source Source `cbor:"1,keyasint"`
	To     Site   `cbor:"2,keyasint"`
}

// CommandKind says what the shell is to do.
type CommandKind uint8

// What comes out of a Run. In brackets the fields of Command that are set.
const (
	// Invoke the function of Invocation.Node here [Invocation, Args, Site, which is Self]; answer with Finished or
	// Failed. Here and in Delegate, Args are the shell's to write to.
	Invoke CommandKind = iota + 1
	// Pass a source's value to another site [Source, Value, Site].
	Pass
	// PassFailure: tell the collector at Site that the run has failed [Err, Site].
	PassFailure
	// Spread: ask the owner for sites that could run this Map's items; answer with Offered [Invocation.Node, Items].
	// The shell answers for its own slots at once, with an Offered that names Self. It comes again when sites were lost
	// and items are left; Items is then their number, and the answer need only name further sites.
	Spread
	// Delegate a Map's item to another site, which answers with Finished or Failed [Invocation, Args, Site].
	Delegate
	// SetTimer: fire it back as TimerFired at At, or after [Timer, At]. Timers are never taken back; those that have
	// become pointless change nothing.
	SetTimer
	// Reply: the run has ended here at the collector; answer the caller [Outputs in the graph's order, or Err]. It is
	// the last command that a Run ever gives.
	Reply
	// Abort: invocations under way are of no more use; cancel them. Given once, when the run ends early here.
	Abort
)

// Command is one thing for the shell to do.
type Command struct {
	Kind       CommandKind
	Invocation Invocation
	Args       []value.Value
	Source     Source
	Value      value.Value
	Site       Site
	Items      int
	Timer      Timer
	At         time.Time
	Outputs    []value.Value
	Err        *fault.Error
}

// Timer names a timer of one run: the retry of an invocation, or the run's deadline when its Node is -1.
type Timer Invocation

// DeadlineTimer is the run's own deadline; only the collector sets it.
var DeadlineTimer = Timer{Node: -1}
