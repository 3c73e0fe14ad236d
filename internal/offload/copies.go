package offload

import (
	"sync"
	"unsafe"
	"weak"

	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/internal/xfer"
)

// copies are payloads that this node has pulled, for as long as somebody here uses them: this keeps none alive. Others may
// pull them from here, and so does a second message that refers to the same value. Safe for concurrent use.
type copies struct {
	mu   sync.Mutex // guards seen
	seen *recent.Window[xfer.Ref, pulled]
}

type pulled struct {
	at   weak.Pointer[byte]
	size int
	sum  uint64 // of the whole
}

const keepCopies = 1024

func newCopies() *copies { return &copies{seen: recent.New[xfer.Ref, pulled](keepCopies)} }

func (c *copies) add(ref xfer.Ref, data []byte, sum uint64) {
	if len(data) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Add(ref, pulled{weak.Make(unsafe.SliceData(data)), len(data), sum})
}

func (c *copies) get(ref xfer.Ref) (data []byte, sum uint64, ok bool) {
	c.mu.Lock()
	p, ok := c.seen.Get(ref)
	c.mu.Unlock()
	if !ok {
		return nil, 0, false
	}
	at := p.at.Value()
	if at == nil {
		return nil, 0, false
	}
	return unsafe.Slice(at, p.size), p.sum, true
}
