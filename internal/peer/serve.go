package peer

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// asked takes in another node's question. It runs on the subscription's one goroutine, and answers on another.
func (p *Peers) asked(m bus.Msg) {
	select {
	case p.slots <- struct{}{}:
	default:
		p.answer(m, &wire.Told{Err: fault.New(fault.Overloaded, "node %s is being asked by too many: ask the store", p.cfg.Name)})
		return
	}
	p.mu.Lock()
	c, closed := p.cache, p.closed
	if !closed {
		p.work.Add(1)
	}
	p.mu.Unlock()
	if closed {
		<-p.slots
		return
	}
	go func() {
		defer p.work.Done()
		defer func() { <-p.slots }()
		told := &wire.Told{}
		var q wire.Ask
		err := wire.Decode(m.Data, &q)
		if err == nil && c == nil && q.Kind != wire.AskStore {
			err = fault.New(fault.Unavailable, "node %s is starting: ask the store", p.cfg.Name)
		}
		if err == nil {
			ctx, cancel := context.WithTimeout(p.life, askWait)
			err = p.tell(ctx, c, &q, told)
			cancel()
		}
		if err != nil {
			told = &wire.Told{Err: fault.From(err)}
		}
		p.answer(m, told)
	}()
}

func (p *Peers) answer(m bus.Msg, told *wire.Told) {
	if m.Reply == "" {
		return
	}
	b, err := wire.Encode(told)
	if err == nil {
		err = p.cfg.Bus.Publish(bus.Msg{Subject: m.Reply, Data: b})
	}
	if err != nil {
		p.log.Warn("answer not sent; whoever asked asks the store", "err", err)
	}
}

func (p *Peers) tell(ctx context.Context, c *cache.Cache, q *wire.Ask, told *wire.Told) error {
	key := kvs.Key(q.Key)
	switch q.Kind {
	case wire.AskStore:
		return p.store(q)
	case wire.AskOwned:
		v, spread, err := c.Owned(ctx, q.App, key)
		if err != nil {
			return err
		}
		return p.tellVersion(v, q.Port, spread, told)
	case wire.AskPinned:
		var r session.Read
		if err := decoder.Unmarshal(q.Body, &r); err != nil {
			return fault.New(fault.Unsupported, "what a run has read does not decode: %w", err)
		}
		v, err := c.Pinned(q.Run, key, r)
		if err != nil {
			return err
		}
		return p.tellVersion(v, "", 0, told)
	case wire.AskClaim:
		var m cache.Claim
		if err := decoder.Unmarshal(q.Body, &m); err != nil {
			return fault.New(fault.Unsupported, "what a run wants to see does not decode: %w", err)
		}
		got, err := c.Claim(q.Run, m)
		if err != nil {
			return err
		}
		b, err := cbor.Marshal(&got)
		told.Body = b
		return err
	}
	return fault.New(fault.Unsupported, "question %d of a later version: upgrade node %s", q.Kind, p.cfg.Name)
}

// tellVersion answers with a version, or with where its value is.
func (p *Peers) tellVersion(v *version.Version, port string, spread int, told *wire.Told) error {
	e, err := entryOf(v)
	if err != nil {
		return err
	}
	e.Spread = spread
	if len(e.Payload) > inline {
		ref := refOf(v)
		p.given.give(v.Key, ref, e.Payload)
		told.Port, told.Ref, told.Size = p.server.Addr(), ref, int64(len(e.Payload))
		told.Others = p.given.others(v.Key, ref, port)
		told.Capability = p.cfg.Secret.Mint(p.cfg.Namespace, xfer.Ref{Key: string(v.Key), Version: ref}, time.Now().Add(capabilityFor))
		e.Payload = nil
	}
	told.Body, err = cbor.Marshal(e)
	return err
}

// given are the large values that others were told they can fetch here, for as long as they may. Safe for concurrent use.
type given struct {
	mu     sync.Mutex // guards values
	values *recent.Window[string, blob]
}

type blob struct {
	payload []byte
	until   time.Time
	to      []string // data ports that were given it, and so may serve it
}

// refOf names a version to the data ports.
func refOf(v *version.Version) string {
	return strconv.FormatUint(uint64(v.Revision), 36) + "." + strconv.FormatUint(v.Stamp.Time, 36) + "." + strconv.FormatUint(v.Stamp.Node, 36)
}

// mostGiven bounds what is kept for others. The values themselves are the cache's; those that it has let go of are kept until the
// next is given after their time.
const mostGiven = 128

func newGiven() *given { return &given{values: recent.New[string, blob](mostGiven)} }

// give makes a value fetchable.
func (g *given) give(key kvs.Key, ref string, payload []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := string(key) + "\x00" + ref
	b, _ := g.values.Get(id)
	now := time.Now()
	b.payload, b.until = payload, now.Add(capabilityFor)
	var over []string
	g.values.Newest(func(id string, b blob) bool {
		if b.payload != nil && now.After(b.until) {
			over = append(over, id)
		}
		return true
	})
	for _, id := range over {
		g.values.Add(id, blob{})
	}
	g.values.Add(id, b)
}

// mostOthers is how many other data ports an answer names.
const mostOthers = 3

// others are the data ports of those that were given the same before, the latest first: they share the work. to is that of
// who is given it now.
func (g *given) others(key kvs.Key, ref, to string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := string(key) + "\x00" + ref
	b, _ := g.values.Get(id)
	var out []string
	for _, port := range b.to {
		if port != to && len(out) < mostOthers {
			out = append(out, port)
		}
	}
	if to != "" {
		b.to = append([]string{to}, out...)
		g.values.Add(id, b)
	}
	return out
}

func (g *given) get(ref xfer.Ref) ([]byte, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b, ok := g.values.Get(ref.Key + "\x00" + ref.Version)
	if !ok || time.Now().After(b.until) {
		return nil, false
	}
	return b.payload, true
}

// source serves the data port.
type source struct{ p *Peers }

// Open implements xfer.Source: what was given to somebody, or what this node's cache has because it was given it.
func (s source) Open(ctx context.Context, ref xfer.Ref) (xfer.Blob, error) {
	if s.p.cfg.Hold != nil && offload.IsHeld(ref) {
		return s.p.cfg.Hold.Open(ctx, ref)
	}
	if b, ok := s.p.given.get(ref); ok {
		return xfer.Bytes(b), nil
	}
	s.p.mu.Lock()
	c := s.p.cache
	s.p.mu.Unlock()
	if c != nil {
		if v := c.Peek(kvs.Key(ref.Key)); v != nil && refOf(v) == ref.Version {
			e, err := entryOf(v)
			if err != nil {
				return nil, err
			}
			s.p.given.give(v.Key, ref.Version, e.Payload) // for the ranges that follow
			return xfer.Bytes(e.Payload), nil
		}
	}
	return nil, fault.New(fault.NotFound, "node %s has no such value to give: ask it again", s.p.cfg.Name)
}
