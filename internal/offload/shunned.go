package offload

import (
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/recent"
)

// shunned are data ports that something was found not to work with. It is tried again after a while: the network is another
// then, or somebody else has the port. Safe for concurrent use.
type shunned struct {
	mu   sync.Mutex // guards seen
	seen *recent.Window[string, time.Time]
}

const (
	keepShunned = 256
	shunFor     = time.Minute
)

func newShunned() *shunned { return &shunned{seen: recent.New[string, time.Time](keepShunned)} }

func (s *shunned) add(port string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Add(port, now)
}

func (s *shunned) has(port string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.seen.Get(port)
	return ok && now.Sub(at) < shunFor
}
