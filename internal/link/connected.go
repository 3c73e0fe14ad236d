package link

import (
	"context"
	"time"

	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/wire"
)

const (
	connectedAsks = 3
	connectedWait = 300 * time.Millisecond
	connectedSoon = 50 * time.Millisecond
	settleWait    = 2500 * time.Millisecond // longer than a client waits between two attempts to reconnect
)

// ping answers on the inbox's behalf, so that a node can be asked whether it lives without being given work.
func (m *Mux) ping(msg bus.Msg) {
	if msg.Reply == "" {
		return
	}
	err := m.cfg.Bus.Publish(bus.Msg{Subject: msg.Reply, Data: wire.MustEncode(&wire.Ping{From: m.cfg.Self})})
	if err != nil {
		m.log.Debug("ping not answered", "err", err)
	}
}

// Connected reports whether this node reaches itself over the bus, and quickly: one that does not is in no position to
// say that others are gone, for a while after too. One lost message is not yet a lost connection, so it asks up to three
// times; but a question that is answered late was held up until the connection came back. It takes up to a second.
func (m *Mux) Connected() bool {
	ctx, cancel := context.WithTimeout(context.Background(), connectedAsks*connectedWait)
	defer cancel()
	answers := make(chan int, connectedAsks)
	for ask := range connectedAsks {
		go func() {
			_, err := m.cfg.Bus.Request(ctx, m.cfg.Subjects.Ping(m.cfg.Self.Name), wire.MustEncode(&wire.Ping{From: m.cfg.Self}))
			if err == nil {
				answers <- ask
			}
		}()
		began := time.Now()
		first, ok := await(answers, connectedWait)
		if !ok {
			continue
		}
		prompt := first == ask && time.Since(began) <= connectedSoon
		if prompt && ask > 0 {
			_, late := await(answers, connectedSoon) // one before it, that only seemed lost
			prompt = !late
		}
		if prompt {
			return true
		}
		break
	}
	m.excuse(time.Now())
	return false
}

// await gives the next answer, if one comes in time.
func await(answers <-chan int, wait time.Duration) (ask int, ok bool) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case ask = <-answers:
		return ask, true
	case <-t.C:
		return 0, false
	}
}

// excuse begins the wait for every peer anew: this node was cut off.
func (m *Mux) excuse(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = now.Add(settleWait)
	for _, l := range m.links {
		l.out.since, l.out.noReply = now, time.Time{}
	}
}

// Settled reports whether the connection has stood for long enough that others, who lost theirs at the same moment,
// are back too. Until then "no responders" says nothing.
func (m *Mux) Settled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !time.Now().Before(m.settled)
}
