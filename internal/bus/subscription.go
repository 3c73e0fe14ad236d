package bus

import "sync"

// subscription is one subscription of a memory bus: a bounded queue and, while that is not empty, one goroutine that
// calls the handler. No goroutine waits on an empty queue, so a crashed node leaves none behind.
type subscription struct {
	conn    *conn
	pattern string
	queue   string
	handle  Handler
	// direct calls handle in the publisher's goroutine, without the queue: for handlers that never block.
	direct bool

	mu      sync.Mutex // guards what follows
	pending []Msg
	head    int // of pending
	running bool
	closed  bool
}

// push queues m, which belongs to the subscription from now on. It reports false for a message dropped because the
// queue is full.
func (s *subscription) push(m Msg, limit int) bool {
	if s.direct {
		s.handle(m)
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true
	}
	if len(s.pending)-s.head >= limit {
		return false
	}
	if s.head > 0 && len(s.pending) == cap(s.pending) {
		n := copy(s.pending, s.pending[s.head:])
		clear(s.pending[n:])
		s.pending, s.head = s.pending[:n], 0
	}
	s.pending = append(s.pending, m)
	if !s.running {
		s.running = true
		s.conn.handlers.Go(s.run)
	}
	return true
}

// run calls the handler until the queue is empty.
func (s *subscription) run() {
	for {
		m, ok := s.pop()
		if !ok {
			return
		}
		s.handle(m)
	}
}

func (s *subscription) pop() (Msg, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.head == len(s.pending) {
		s.running = false
		s.pending, s.head = s.pending[:0], 0
		return Msg{}, false
	}
	m := s.pending[s.head]
	s.pending[s.head] = Msg{}
	s.head++
	return m, true
}

// close drops what is queued; a handler call under way goes on.
func (s *subscription) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.pending, s.head = true, nil, 0
}

// Unsubscribe implements Subscription.
func (s *subscription) Unsubscribe() error {
	s.conn.forget(s)
	s.close()
	return nil
}
