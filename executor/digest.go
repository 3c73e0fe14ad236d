package executor

import (
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/sched"
	"github.com/squall-faas/squall/kvs"
)

// digests keeps the digest of the cached keys that heartbeats tell of. Safe for concurrent use.
type digests struct {
	e *Executor

	mu     sync.Mutex // guards what follows
	digest sched.Digest
}

const (
	rebuildEach = time.Second
	// rebuildShare bounds the time that goes into it, at one part in so many: millions of keys take a second.
	rebuildShare = 50
)

// keep makes the digest anew when the cache has changed, until the executor closes.
func (d *digests) keep() {
	t := time.NewTimer(rebuildEach)
	defer t.Stop()
	last := uint64(0)
	for {
		select {
		case <-d.e.stop:
			return
		case <-t.C:
		}
		began := time.Now()
		if n := d.e.cfg.Cache.Turnover(); n != last {
			last = n
			d.rebuild()
		}
		t.Reset(max(rebuildEach, rebuildShare*time.Since(began)))
	}
}

func (d *digests) rebuild() {
	d.mu.Lock()
	size := d.digest.Size()
	d.mu.Unlock()
	content := sched.Read(func(yield func(uint64, int64)) {
		d.e.cfg.Cache.Each(func(key kvs.Key, size int64) { yield(sched.KeyHash(string(key)), size) })
	}, size)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.digest.Set(content)
}

// update is what the next heartbeat tells of it; nil for nothing.
func (d *digests) update() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.digest.Update(sched.UpdateBytes)
}

// restart has everything told anew: somebody new listens.
func (d *digests) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.digest.Restart()
}
