package peer

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
)

// Client is what pulls from others' data ports. It is Peers' to close.
func (p *Peers) Client() *xfer.Client { return p.client }

// PortOf gives the data port of an executor that was heard of lately, "" for another.
func (p *Peers) PortOf(executor string) string { return p.fleet.portOf(executor, p.cfg.Wall()) }

// Share implements xfer.Sharer, for values that are held for other executors.
func (s source) Share(ctx context.Context, ref xfer.Ref) ([]byte, error) {
	if s.p.cfg.Hold == nil || !offload.IsHeld(ref) {
		return nil, fault.New(fault.Unsupported, "node %s does not share this value: read it", s.p.cfg.Name)
	}
	return s.p.cfg.Hold.Share(ctx, ref)
}

// storeWait is how long another node may take to store a value that it holds.
const storeWait = 30 * time.Second

// AskStore asks an executor to store a value that it holds, because its data port is out of reach from here.
func (p *Peers) AskStore(ctx context.Context, executor string, ref xfer.Ref) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	_, err := p.request(ctx, executor, &wire.Ask{Kind: wire.AskStore, Key: ref.Key, Run: ref.Version})
	return err
}

// Deposit gives what stores a value that this node holds. Others that ask before are refused.
func (p *Peers) Deposit(f func(ctx context.Context, ref xfer.Ref) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deposit = f
}

// store stores a value that this node holds, for another.
func (p *Peers) store(q *wire.Ask) error {
	p.mu.Lock()
	deposit := p.deposit
	p.mu.Unlock()
	if deposit == nil {
		return fault.New(fault.Unavailable, "node %s is starting: make the value anew", p.cfg.Name)
	}
	ctx, cancel := context.WithTimeout(p.life, storeWait)
	defer cancel()
	return deposit(ctx, xfer.Ref{Key: q.Key, Version: q.Run})
}
