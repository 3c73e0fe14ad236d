package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/reclaim"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
)

// The live run: real lenders, keepers and clients over TCP and a bus in this process, reclaimed at the times of a trace,
// and the simulator on the same trace, at the same rate of requests, of repairs and of heartbeats.
const (
	liveLenders = 16
	liveObjects = 60
	liveBytes   = 600_000
	liveBeat    = 200 * time.Millisecond
	liveRate    = 8e6 // bytes a second for repairs, of all together
	liveSpan    = 60 * time.Second
	liveGets    = 60 // a second
)

// liveLender is a lender with all that an executor has beside it.
type liveLender struct {
	bus    bus.Bus
	tier   *coded.Tier
	lender *coded.Lender
	keeper *coded.Keeper
}

// kill ends it without a word.
func (l *liveLender) kill() error {
	l.keeper.Close()
	return errors.Join(l.bus.Close(), l.lender.Close(), l.tier.Close())
}

type liveWorld struct {
	network *bus.Network
	store   kvs.Store
	lenders []*liveLender
	joined  int
}

func (w *liveWorld) join() (bus.Bus, *coded.Tier, error) {
	w.joined++
	b := w.network.Join(fmt.Sprintf("live-%d", w.joined))
	t, err := coded.New(coded.Config{Namespace: "live", Bus: b, Store: w.store, Secret: xfer.Secret{1}})
	return b, t, err
}

func (w *liveWorld) lend() (l *liveLender, err error) {
	l = &liveLender{}
	if l.bus, l.tier, err = w.join(); err != nil {
		return nil, err
	}
	l.lender, err = coded.NewLender(l.tier, coded.LenderConfig{Name: fmt.Sprintf("live-%d", w.joined), Most: 64 << 20, Lend: 64 << 20, Heartbeat: liveBeat})
	if err != nil {
		return nil, errors.Join(err, l.tier.Close())
	}
	l.keeper = coded.NewKeeper(l.tier, coded.KeeperConfig{Self: l.lender.ID(), Rate: liveRate / liveLenders, Burst: 1, Scan: time.Hour})
	return l, nil
}

// liveTrace draws losses: bursts, two seconds apart on the average, of a Zipf-like number of lenders.
func liveTrace(seed uint64, span time.Duration) (losses []reclaim.Loss) {
	random := rand.New(rand.NewPCG(seed, 1))
	const apart = 2 * time.Second
	for at := time.Duration(0); ; {
		at += time.Duration(random.ExpFloat64() * float64(apart))
		if at >= span {
			return losses
		}
		n := 1
		for n < 5 && random.Float64() < 0.6 {
			n++
		}
		for _, l := range random.Perm(liveLenders)[:n] {
			losses = append(losses, reclaim.Loss{At: at, Lender: l})
		}
	}
}

// live runs the trace for real, and in the simulator.
func (r *codedRun) live(ctx context.Context, seed uint64) (err error) {
	span := liveSpan
	if r.Quick {
		span = 3 * time.Second
	}
	losses := liveTrace(seed, span)
	real, err := r.liveRun(ctx, losses, span, seed)
	if err != nil {
		return err
	}
	m := reclaim.Model{
		Lenders: liveLenders, Hosts: liveLenders, Span: span, Trace: losses, Objects: liveObjects, Bytes: liveBytes, Popular: 0,
		Requests: liveGets * 3600, Code: layout.Code{Data: 4, Parity: 2},
	}
	p := reclaim.Squall(liveRate)
	p.Notice, p.Adapts = liveBeat+liveBeat/2, false
	sim := reclaim.Simulate(m, p, seed)
	for _, x := range []struct {
		name string
		got  reclaim.Result
	}{{"live", real}, {"simulated", sim}} {
		r.report.Rows = append(r.report.Rows,
			Row{Case: caseLive, Metric: x.name, Unit: "%", P50: 100 * x.got.Availability(), N: x.got.Gets},
			Row{Case: caseLive, Metric: x.name + ", columns rebuilt", Unit: "columns", P50: float64(x.got.Repaired), N: x.got.Reclaims})
	}
	d := real.Availability() - sim.Availability()
	r.report.Ratios["availability_live_minus_sim"] = max(d, -d)
	return nil
}

func (r *codedRun) liveRun(ctx context.Context, losses []reclaim.Loss, span time.Duration, seed uint64) (got reclaim.Result, err error) {
	w := &liveWorld{network: bus.NewNetwork(bus.Options{}), store: kvs.NewMemory()}
	var tier *coded.Tier
	defer func() {
		for _, l := range w.lenders {
			err = errors.Join(err, l.kill())
		}
		if tier != nil {
			err = errors.Join(err, tier.Close())
		}
		w.network.Close()
		err = errors.Join(err, w.store.Close())
	}()
	for range liveLenders {
		l, err := w.lend()
		if err != nil {
			return got, err
		}
		w.lenders = append(w.lenders, l)
	}
	if _, tier, err = w.join(); err != nil {
		return got, err
	}
	if err := tier.Settle(ctx); err != nil {
		return got, err
	}
	b := make([]byte, liveBytes)
	put := func(i int) error {
		b[0] = byte(i)
		_, err := tier.PutBytes(ctx, fmt.Sprint(i), b, coded.PutOptions{Code: layout.Code{Data: 4, Parity: 2}})
		return err
	}
	for i := range liveObjects {
		if err := put(i); err != nil {
			return got, err
		}
	}
	r.progress.Begin("reclaim real lenders", int(span.Seconds()))
	random := rand.New(rand.NewPCG(seed, 2))
	began := time.Now()
	tick := time.NewTicker(time.Second / liveGets)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return got, fault.From(context.Cause(ctx))
		}
		now := time.Since(began)
		if now >= span {
			for _, l := range w.lenders {
				got.Repaired += int(l.tier.Stats().Repaired)
			}
			return got, nil
		}
		for ; len(losses) > 0 && losses[0].At <= now; losses = losses[1:] {
			i := losses[0].Lender
			got.Repaired += int(w.lenders[i].tier.Stats().Repaired)
			if err := w.lenders[i].kill(); err != nil {
				return got, err
			}
			if w.lenders[i], err = w.lend(); err != nil {
				return got, err
			}
			got.Reclaims++
		}
		i := random.IntN(liveObjects)
		got.Gets++
		var first firstByte
		switch _, err := tier.Get(ctx, fmt.Sprint(i), &first); {
		case err == nil && first.b != byte(i):
			return got, fault.New(fault.Internal, "object %d came with wrong bytes", i)
		case err == nil:
			got.Hits++
		case fault.Is(err, fault.NotFound), fault.Is(err, fault.Unavailable):
			if err := put(i); err != nil {
				return got, err
			}
		default:
			return got, err
		}
	}
}

// firstByte keeps the first byte that is written to it.
type firstByte struct {
	b   byte
	any bool
}

func (f *firstByte) Write(b []byte) (int, error) {
	if !f.any && len(b) > 0 {
		f.b, f.any = b[0], true
	}
	return len(b), nil
}

var _ io.Writer = (*firstByte)(nil)
