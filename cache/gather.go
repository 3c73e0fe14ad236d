package cache

import "time"

// gatherFor is how long a write that nobody waits for waits itself for others to be stored with. Without it the first write
// of every burst was a batch of its own, and kept the rest waiting (squall bench cache --only put_write_back/100). It is a small
// part of the time for which an acknowledged write may be lost with its node.
const gatherFor = 2 * time.Millisecond

// gather is how long the lane's next batch should wait for more writes: not at all where somebody waits for one of them or
// for progress, or where it is as large as it gets.
func (b *writeBack) gather(l *lane) time.Duration {
	if l != &b.small {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(l.queue) == 0 || b.hurriedLocked() {
		return 0
	}
	return min(gatherFor, b.c.cfg.MaxDirtyAge/8) - time.Since(l.queue[0].since)
}

func (b *writeBack) hurriedLocked() bool {
	return b.waited > 0 || b.watched > 0 || len(b.small.queue) >= batchKeys || b.held >= b.c.cfg.MaxDirty/2
}

// pause waits to gather; false once the cache is closed.
func (b *writeBack) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.hurry:
	case <-b.c.life.Done():
		return false
	}
	return true
}

// hurryLocked ends a pause.
func (b *writeBack) hurryLocked() {
	select {
	case b.hurry <- struct{}{}:
	default:
	}
}

// watch notes that somebody waits for progress; unwatch must follow.
func (b *writeBack) watch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchLocked()
}

func (b *writeBack) watchLocked() {
	b.watched++
	b.hurryLocked()
}

func (b *writeBack) unwatch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched--
}
