package natsbus

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/internal/bus"
)

// The client shows "no responders" as a header with this status.
const (
	statusHeader = "Status"
	noResponders = "503"
)

// subscription calls its handler on the goroutine that the client has for it.
type subscription struct {
	bus    *Bus
	sub    *nats.Subscription
	handle bus.Handler
	closed atomic.Bool
	run    sync.Mutex // held during a handler call, so that Close can wait for it; guards burst
	burst  int        // messages handled since the outbox was held back; 0 while it is not
}

// burstLimit is how many messages in a row are handled before what they led to leaves.
const burstLimit = 16

func (s *subscription) deliver(m *nats.Msg) {
	s.run.Lock()
	defer s.run.Unlock()
	if s.closed.Load() {
		return
	}
	if s.burst == 0 && s.waiting() {
		s.bus.outbox.hold()
		s.burst = 1
	}
	defer s.letGo()
	s.handle(bus.Msg{
		Subject:      m.Subject,
		Reply:        m.Reply,
		Data:         m.Data,
		NoResponders: m.Header != nil && len(m.Data) == 0 && m.Header.Get(statusHeader) == noResponders,
	})
}

// letGo ends a burst: what its handler calls have published leaves in one write.
func (s *subscription) letGo() {
	if s.burst == 0 {
		return
	}
	if s.burst++; s.burst > burstLimit || !s.waiting() {
		s.burst = 0
		s.bus.outbox.release(s.bus)
	}
}

// waiting reports whether more messages have come already.
func (s *subscription) waiting() bool {
	n, _, err := s.sub.Pending()
	return err == nil && n > 1 // the one in hand counts
}

// dropped counts what this subscription lost; 0 once it has ended.
func (s *subscription) dropped() uint64 {
	n, err := s.sub.Dropped()
	if err != nil {
		return 0
	}
	return uint64(n)
}

// Unsubscribe implements bus.Subscription.
func (s *subscription) Unsubscribe() error {
	s.closed.Store(true)
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if _, ok := s.bus.subs[s]; !ok {
		return nil
	}
	s.bus.dropped += s.dropped()
	delete(s.bus.subs, s)
	s.bus.ending = append(slices.DeleteFunc(s.bus.ending, (*subscription).idle), s)
	_ = s.sub.Unsubscribe() // fails only if the connection is closed, which has ended the subscription as well
	return nil
}

// idle reports that no handler call is under way.
func (s *subscription) idle() bool {
	if !s.run.TryLock() {
		return false
	}
	s.run.Unlock()
	return true
}

// wait waits for a handler call under way.
func (s *subscription) wait() {
	s.run.Lock()
	defer s.run.Unlock()
}
