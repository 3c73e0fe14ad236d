package cache

import "time"

const (
	// gatherFor is how long a write that nobody waits for waits itself for others to be stored with. Without it the first write
	// of every burst was a batch of its own, and kept the rest waiting (squall bench cache --only put_write_back/100). It is a
	// small part of the time for which an acknowledged write may be lost with its node.
	gatherFor = 2 * time.Millisecond
	// flowKeys is how many keys a batch has from which on writes are taken for a flow.
	flowKeys = 8
)

// past is how a lane's last batch went.
type past struct {
	keys  int
	took  time.Duration
	ended time.Time
}

// gatherTime is how long the first write of a batch waits for others. In a flow of writes a batch costs the store about the same
// whatever is in it, so it waits for as long as what was acknowledged is stored in three quarters of the time that it may take.
func (p past) gatherTime(now time.Time, maxAge time.Duration) time.Duration {
	burst := min(gatherFor, maxAge/8)
	if p.keys < flowKeys || now.Sub(p.ended) > maxAge {
		return burst
	}
	return max(burst, maxAge*3/4-p.took)
}

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
	now := time.Now()
	return l.past.gatherTime(now, b.c.cfg.MaxDirtyAge) - now.Sub(l.queue[0].since)
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
