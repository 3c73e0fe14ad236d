package executor

import (
	"context"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// Values that executors pass to each other stay with their producer until the run is released or their time is over
// (DESIGN §5): the message carries a reference, and the consumer pulls. So a large value neither waits for the store nor
// fills it; but it is lost with its producer, as the invocation that made it is, and made again in the same way.

const (
	// pullPatience is how long a consumer waits, once a value cannot be pulled, for the owner to find out that its producer
	// is gone. It is longer than that takes as a rule.
	pullPatience = 5 * time.Second
	// evacuateLimit is how long a node that leaves with runs under way takes to store what it holds.
	evacuateLimit = 10 * time.Second
)

// outTo encodes values for a message to a site of the run, each by its path. What a durable run passes is stored: it
// survives the loss of every process.
func (a *activity) outTo(site dag.Site, path offload.Path, vs ...value.Value) ([]wire.Value, error) {
	a.mu.Lock()
	durable := a.header.Mode.Durable()
	a.mu.Unlock()
	t := offload.Terms{TTL: max(a.lasts(), 0), Run: a.run.String(), Path: path}
	if !durable {
		t.To = a.site(site).Name
	}
	return a.e.send1(a.ctx, t, vs...)
}

// send1 is Offload.Send of values within the executor's own bound. It goes on when ctx ends.
func (e *Executor) send1(ctx context.Context, t offload.Terms, vs ...value.Value) ([]wire.Value, error) {
	for _, v := range vs {
		if n := int64(v.Size()); n > e.cfg.MaxOutput {
			return nil, fault.New(fault.TooLarge, "a value of %d bytes is over the limit of %d: store it under a key and pass a reference", n, e.cfg.MaxOutput)
		}
	}
	return e.cfg.Offload.Send(context.WithoutCancel(ctx), t, vs...)
}

// itemTerms are those of an item's result, on its way to the Map's home.
func itemTerms(m *wire.Exec, home wire.Peer) offload.Terms {
	t := offload.Terms{TTL: lingering + time.Duration(m.Remaining), Run: m.Run.String()}
	if !m.Mode.Durable() {
		t.To = home.Name
	}
	return t
}

// take brings a value that came for the run. One that its producer held and that is nowhere to be had is not the run's end:
// if the producer is gone the owner plans anew, and the value comes again; if not, because it let go of the value too soon,
// the run begins anew. ok is false in both cases, without an error.
func (a *activity) take(v wire.Value) (x value.Value, ok bool, err error) {
	epoch := a.newest()
	x, err = a.e.cfg.Offload.In(a.ctx, v)
	if v.Held == nil || !fault.Is(err, fault.Unavailable) {
		return x, err == nil, err
	}
	until := time.Now().Add(pullPatience)
	for pause := 50 * time.Millisecond; time.Now().Before(until); pause = min(2*pause, time.Second) {
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-a.ctx.Done():
			t.Stop()
			return x, false, fault.From(context.Cause(a.ctx))
		}
		if a.forsaken(epoch) {
			return x, false, nil
		}
		if x, err = a.e.cfg.Offload.In(a.ctx, v); err == nil || !fault.Is(err, fault.Unavailable) {
			return x, err == nil, err
		}
	}
	if a.forsaken(epoch) || a.again(fault.From(err)) {
		return x, false, nil
	}
	return x, false, err
}

// forsaken reports whether the owner knows of a loss since an epoch: whatever this site lacks then comes again.
func (a *activity) forsaken(epoch uint32) bool {
	a.mu.Lock()
	over := a.over
	a.mu.Unlock()
	return over || a.newest() > epoch
}

// letGo drops what is held for a run that is over.
func (e *Executor) letGo(run id.Run) {
	if h := e.cfg.Hold; h != nil && h.Holds() {
		h.Release(run.String())
	}
}

// evacuate stores what others may still want to pull, for an executor that leaves although runs need it.
func (e *Executor) evacuate() {
	ctx, cancel := context.WithTimeout(context.Background(), evacuateLimit)
	defer cancel()
	if n, err := e.cfg.Offload.Evacuate(ctx); err != nil || n > 0 {
		e.log.Info("values that runs may need were stored before leaving", "values", n, "err", err)
	}
}
