package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// run is one open run, guarded by the Coordinator's lock.
type run struct {
	call      wire.Call
	inputs    []wire.Value // by source
	pin       *pin
	plan      dag.Plan
	sites     []wire.Peer
	started   time.Time
	until     time.Time // deadline; zero is none
	record    uint64    // revision of its record; 0 where there is none
	epoch     uint32    // of the plan, or of the next one while it waits
	crashes   int       // executors that died under it
	waiters   []string  // where else its outcome is wanted; recorded runs only
	placed    bool
	bound     time.Time    // when it was placed last
	ending    bool         // its outcome is being stored: nothing is done about it any more
	cancelled *fault.Error // somebody has asked for its end
	giveUp    time.Time    // while it waits for an executor
	apart     time.Time    // until then, a suspect waits for an executor without another suspect
	lost      []dag.Site   // of sites, over all recoveries
	began     uint32       // epoch in which it began anew; 0 where it never has
	restarts  int          // how often it has because of conflicts
	rescue    *rescue      // while survivors are being asked what they hold
}

func (r *run) id() id.Run { return r.call.Run }

// siteOf is an executor's site in the run's plan; -1 where it has none, or has lost it.
func (r *run) siteOf(p wire.Peer) dag.Site {
	for i := range r.sites {
		if r.sites[i] == p && !slices.Contains(r.lost, dag.Site(i)) {
			return dag.Site(i)
		}
	}
	return -1
}

func (r *run) info(state wire.State) wire.RunInfo {
	return wire.RunInfo{
		Run: r.id(), Target: r.call.Target, Name: r.call.Name, State: state, Started: r.started.UnixNano(),
		Durable: r.call.Mode.Durable(), Epoch: r.epoch,
	}
}

// handle takes one message off the links. It must not block.
func (c *Coordinator) handle(from wire.Peer, msg []byte) {
	t, err := wire.Peek(msg)
	if err != nil {
		c.log.Warn("message refused", "node", from.Name, "err", err)
		return
	}
	switch t {
	case wire.TypeReport:
		var m wire.Report
		if err = wire.Decode(msg, &m); err == nil {
			c.report(from, &m)
		}
	case wire.TypeHeld:
		var m wire.Held
		if err = wire.Decode(msg, &m); err == nil {
			c.held(from, &m)
		}
	case wire.TypeSpread:
		var m wire.Spread
		if err = wire.Decode(msg, &m); err == nil {
			c.spread(from, &m)
		}
	case wire.TypeAgain:
		var m wire.Again
		if err = wire.Decode(msg, &m); err == nil {
			c.again(from, &m)
		}
	case wire.TypeBusy:
		var m wire.Busy
		if err = wire.Decode(msg, &m); err == nil {
			c.busy(from, &m)
		}
	case wire.TypeRelease: // a collector releases itself through its report
	default:
		err = fault.New(fault.Unsupported, "a coordinator takes no message of type %d", t)
	}
	if err != nil {
		c.log.Warn("message refused", "node", from.Name, "err", err)
	}
}

// recordOf reads a run's record; unknown_run where there is none.
func (c *Coordinator) recordOf(ctx context.Context, run id.Run) (*wire.RunRecord, uint64, error) {
	e, err := c.cfg.System.Get(ctx, runKey(run))
	if fault.Is(err, fault.NotFound) {
		return nil, 0, fault.New(fault.UnknownRun, "no run %s is open or recorded: sync calls are not recorded, others for %s", run, wire.RunRetention)
	}
	if err != nil {
		return nil, 0, err
	}
	b, err := value.As[[]byte](e.Value)
	if err != nil {
		return nil, 0, err
	}
	rec := &wire.RunRecord{}
	return rec, uint64(e.Revision), wire.Decode(b, rec)
}
