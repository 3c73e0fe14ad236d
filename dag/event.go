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
	// Finished: an invocation returned [Invocation, Value, Site]. Site is where it ran: Self, or the site that it was
	// delegated to. Of several tries the first one counts. Answers of delegated items carry no epoch: a Map's
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
	// Absent: a source will have no value [Source, Err]: it was skipped, or failed if there is an Err. Like Arrived.
	Absent
	// Declined: a node elsewhere does not need a source that is made here [Source, Invocation.Node, the one that does not].
	// It counts for the plan in which it was said: the shell keeps it until it has that plan, and drops it after.
	Declined
	// Flowing: a Call here, whose invocation is under way, has begun to give a stream [Source, Nodes]. Those of Nodes, which
	// take streams, begin if they wait for nothing else: their argument is null, and the shell feeds them. Should the
	// producer fail they are withdrawn before they can know.
	Flowing
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
	Lost       []Site // all sites that are gone by now, in this and in earlier epochs
	Resend     []Send // outputs kept here that have to be passed again
	Nodes      []int
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
	// and items are left; Items is then their number, and the answer need only name further sites. For a hedged Call it
	// asks for one other site.
	Spread
	// Delegate a Map's item, or the second try of a hedged Call, to another site, which answers with Finished or Failed
	// [Invocation, Args, Site].
	Delegate
	// SetTimer: fire it back as TimerFired at At, or after [Timer, At]. Timers are never taken back; those that have
	// become pointless change nothing.
	SetTimer
	// Reply: the run has ended here at the collector; answer the caller [Outputs in the graph's order, or Err]. It is
	// the last command that a Run ever gives.
	Reply
	// Abort: invocations under way are of no more use; cancel them. Given once, when the run ends early here.
	Abort
	// PassAbsence: tell another site that a source will have no value [Source, Err, Site]; see Absent.
	PassAbsence
	// Decline: tell the site that makes a source that a node does not need it [Source, Invocation.Node, Site]; see
	// Declined.
	Decline
	// Withdraw: an invocation is of no more use [Invocation, Site, where it runs]. Cancel it; that it fails for this must
	// not be answered.
	Withdraw
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

// Timer names a timer of one run: the retry of an invocation; or the run's deadline when its Node is -1; or, when its Try
// is negative, the moment when that try is late, see [Hedge].
type Timer Invocation

// DeadlineTimer is the run's own deadline; only the collector sets it.
var DeadlineTimer = Timer{Node: -1}
