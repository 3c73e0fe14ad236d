package bench

import (
	"sync"

	"github.com/squall-faas/squall/fn"
)

// chainMaker gives values as large as it is asked for. It keeps the last one: how long memory for another one takes to come
// by differs more than what is measured.
type chainMaker struct {
	mu   sync.Mutex // guards last
	last []byte
}

func (m *chainMaker) make(_ fn.Context, bytes int) ([]byte, error) {
	if bytes < 8 || bytes > 1<<30 {
		return nil, errChainBytes
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.last) != bytes {
		m.last = chainValue(bytes)
	}
	return m.last, nil
}

// chainPass passes a value on as it is.
func chainPass(_ fn.Context, b []byte) ([]byte, error) { return b, nil }

func chainJudge(_ fn.Context, b []byte) (uint64, error) { return chainJudged(b), nil }
