package dag

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

// What a zero Retry.Backoff and Retry.Cap stand for.
const (
	defaultBackoff = 100 * time.Millisecond
	defaultCap     = 30 * time.Second
)

// task is one thing to be invoked until a try succeeds: a Call, an item of a Map, a step of a Reduce.
//
//	                          ┌──────TimerFired────── backingOff
//	                          ▼                           ▲
//	waiting ──it begins──▶ running ──Failed, tries left───┘
//	   ▲                    │ │ └────Failed, none left──▶ the node fails
//	   └──its place is lost─┘ └──────Finished──▶ settled
//
// An item of a Map goes back to waiting when its timer fires: it needs a place again. And a result may come from any
// try, so a task is settled out of every state but the first.
type task struct {
	state taskState
	try   int32 // the last one that was sent; 0 before the first
	extra int32 // how many of the tries were second ones: they do not count against the retries
}

type taskState uint8

const (
	waiting    taskState = iota // for arguments, or for a place to run
	running                     // a try is out
	backingOff                  // a timer is set for the next try
	settled                     // it has its value
)

// accepts reports whether a result of try counts: that of any try so far does, the first one to come.
func (t *task) accepts(try int) bool { return t.state != settled && try >= 1 && try <= int(t.try) }

// fails reports whether a failure of try counts: only that of the try under way does.
func (t *task) fails(try int) bool { return t.state == running && try == int(t.try) }

// due reports whether a timer for try is the one that the task waits for.
func (t *task) due(try int) bool { return t.state == backingOff && try == int(t.try)+1 }

// retry follows a failed try with a timer for the next one, or with the end of the node.
func (r *Run) retry(t *task, inv Invocation, err *fault.Error) {
	if err == nil {
		err = fault.New(fault.Internal, "the function failed without a reason")
	}
	p := r.g.Nodes[inv.Node].Retry
	if int(t.try-t.extra) > p.Max || !repeatable(err) {
		t.state = settled
		r.fail(inv.Node, r.locate(err, inv))
		return
	}
	t.state = backingOff
	next := inv
	next.Try = int(t.try) + 1
	r.emit(Command{Kind: SetTimer, Timer: Timer(next), At: r.now.Add(p.pause(r.cfg.Seed, inv, err.RetryAfter))})
}

// repeatable reports whether trying again could end otherwise: not where the input, the graph or the function itself
// is at fault, or where the poison limit was reached.
func repeatable(err *fault.Error) bool {
	switch err.Code {
	case fault.InvalidArgument, fault.InvalidName, fault.InvalidKey, fault.InvalidDAG, fault.InvalidModule,
		fault.WrongArity, fault.WrongType, fault.TooLarge, fault.UnknownFunction, fault.UnknownDAG,
		fault.DepthExceeded, fault.Unauthorized, fault.Unsupported, fault.NativeNeedsExecutor,
		fault.Cancelled, fault.ExecutorCrashed,
		fault.TxnConflict, fault.SnapshotLost, fault.DependencyLost, // the whole run begins anew
		fault.TxnCrossShard, fault.Fenced:
		return false
	}
	return !err.Final
}

// pause is how long to wait after inv failed: the backoff doubled for each try before it, up to the cap, and no
// shorter than a hint that came with the failure. It is jittered by a fifth either way, the same way for the same
// invocation and seed, so that items which failed together do not come back together.
func (p Retry) pause(seed uint64, inv Invocation, hint time.Duration) time.Duration {
	d, longest := p.Backoff, p.Cap
	if d <= 0 {
		d = defaultBackoff
	}
	if longest <= 0 {
		longest = defaultCap
	}
	for try := 1; try < inv.Try && d < longest; try++ {
		d += min(d, longest-d)
	}
	d = min(max(d, hint), longest)
	sway := time.Duration((jitter(seed, inv) - 0.5) * 0.4 * float64(d))
	if room := longest - d; sway > room {
		return longest - (sway - room) // Reflected: cut off at the cap, half of the longest pauses would be equal.
	}
	return d + sway
}

// jitter is a number in [0, 1) that follows from the seed and the invocation.
func jitter(seed uint64, inv Invocation) float64 {
	var b [32]byte
	binary.LittleEndian.PutUint64(b[0:], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(inv.Node))
	binary.LittleEndian.PutUint64(b[16:], uint64(inv.Item))
	binary.LittleEndian.PutUint64(b[24:], uint64(inv.Try))
	return float64(xxhash.Sum64(b[:])>>11) / (1 << 53)
}

// locate adds to an error where in the graph it happened. An error that already names a node is one of another run,
// which the function called; it says more as it is.
func (r *Run) locate(err *fault.Error, inv Invocation) *fault.Error {
	if err.Node != "" {
		return err
	}
	node := &r.g.Nodes[inv.Node]
	return err.With(func(e *fault.Error) {
		e.Node, e.Item, e.Attempt = node.Name, inv.Item, inv.Try
		if e.Function == "" {
			e.Function = node.Function
		}
	})
}
