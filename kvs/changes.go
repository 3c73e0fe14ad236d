package kvs

import (
	"context"
	"sync"
)

// Changes is the queue between a Store and one watcher: bounded, and coalescing, so that a slow watcher skips versions
// but always gets the last one of each key. It is for those who implement Store; T is what they know of a change. Safe
// for concurrent use.
type Changes[T any] struct {
	limit int
	ready chan struct{} // holds one token while there is something to look at

	mu    sync.Mutex // guards what follows
	keys  []Key      // in the order in which their oldest pending change came; keys[:head] are taken
	head  int
	last  map[Key]T
	ended bool
}

// NewChanges makes a queue for up to limit pending keys.
func NewChanges[T any](limit int) *Changes[T] {
	return &Changes[T]{limit: limit, ready: make(chan struct{}, 1), last: make(map[Key]T)}
}

// Add queues a change of key in place of what is pending for it. It never blocks. A change of one key too many ends
// the queue: a watcher that far behind is better off listing.
func (c *Changes[T]) Add(key Key, change T) {
	c.mu.Lock()
	if _, pending := c.last[key]; !pending {
		if len(c.last) >= c.limit {
			c.ended = true
		}
		if c.ended {
			c.mu.Unlock()
			c.signal()
			return
		}
		c.keys = append(c.keys, key)
	}
	c.last[key] = change
	c.mu.Unlock()
	c.signal()
}

// End lets Run return at once, whatever is pending.
func (c *Changes[T]) End() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.signal()
}

// Run hands what is queued to out, through entry, which may look things up and may drop a change by returning false.
// It returns, having closed out, when ctx ends or the queue has ended.
func (c *Changes[T]) Run(ctx context.Context, out chan<- Entry, entry func(T) (Entry, bool)) {
	defer close(out)
	for {
		change, got, ended := c.take()
		if ended {
			return
		}
		if !got {
			select {
			case <-c.ready:
				continue
			case <-ctx.Done():
				return
			}
		}
		e, ok := entry(change)
		if !ok {
			continue
		}
		for sent := false; !sent; {
			select {
			case out <- e:
				sent = true
			case <-ctx.Done():
				return
			case <-c.ready:
				// New changes, or the end: only the end concerns one who waits for a slow receiver.
				if c.hasEnded() {
					return
				}
			}
		}
	}
}

func (c *Changes[T]) take() (change T, got, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.head == len(c.keys) {
		return change, false, c.ended
	}
	key := c.keys[c.head]
	c.keys[c.head] = ""
	c.head++
	if c.head == len(c.keys) {
		c.keys, c.head = c.keys[:0], 0
	} else if c.head > 1024 && c.head > len(c.keys)/2 {
		c.keys, c.head = append(c.keys[:0], c.keys[c.head:]...), 0
	}
	change = c.last[key]
	delete(c.last, key)
	return change, true, false
}

func (c *Changes[T]) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func (c *Changes[T]) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// Len is the number of keys with a pending change.
func (c *Changes[T]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.last)
}
