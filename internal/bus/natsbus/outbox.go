package natsbus

import (
	"runtime"
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/bus"
)

// outbox gathers what is published at the same moment, so that it leaves in one write. The client's own flusher wakes at
// the first message and writes at once, so that a node with many small messages spends most of its time in write calls;
// `squall bench compose`, throughput at 32 outstanding, is what justifies this. Two things make messages meet:
//
//   - The goroutine that publishes first lets the others that are ready run, and then publishes for all (flat combining,
//     Hendler et al. '10). With no other goroutine ready that is one look at the run queue.
//   - While a subscription has more messages waiting, what their handlers publish is held back until the last of them,
//     at most burstLimit, has been handled, or heldFor has passed.
type outbox struct {
	mu      sync.Mutex // guards what follows
	pending []bus.Msg
	spare   []bus.Msg
	data    []byte // of pending
	old     []byte // of spare
	busy    bool   // a goroutine publishes for all
	holders int    // subscriptions in a burst
	timer   *time.Timer
	armed   bool
	err     error // what the connection said last; the next to publish hears it
}

const (
	heldFor  = 300 * time.Microsecond
	heldMost = 64      // messages
	keepData = 1 << 20 // bytes of the largest buffer that is kept for the next batch
)

// publish takes a message in. Its data is copied: the publisher may use its slice again.
func (o *outbox) publish(b *Bus, m bus.Msg) error {
	o.mu.Lock()
	at := len(o.data)
	o.data = append(o.data, m.Data...)
	m.Data = o.data[at:len(o.data):len(o.data)]
	o.pending = append(o.pending, m)
	err := o.err
	o.err = nil
	if !o.busy && o.holders > 0 && len(o.pending) < heldMost {
		o.armLocked(b)
		o.mu.Unlock()
		return err
	}
	if o.busy {
		o.mu.Unlock()
		return err
	}
	o.busy = true
	o.mu.Unlock()
	runtime.Gosched()
	return o.drain(b)
}

// armLocked sees to it that what is held leaves, even if the handler that holds it blocks.
func (o *outbox) armLocked(b *Bus) {
	switch {
	case o.armed:
		return
	case o.timer == nil:
		o.timer = time.AfterFunc(heldFor, func() { o.overdue(b) })
	default:
		o.timer.Reset(heldFor)
	}
	o.armed = true
}

func (o *outbox) overdue(b *Bus) {
	o.mu.Lock()
	o.armed = false
	o.mu.Unlock()
	o.flush(b)
}

// hold begins a burst; release ends it.
func (o *outbox) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holders++
}

func (o *outbox) release(b *Bus) {
	o.mu.Lock()
	o.holders--
	last := o.holders == 0
	o.mu.Unlock()
	if last {
		o.flush(b)
	}
}

func (o *outbox) flush(b *Bus) {
	o.mu.Lock()
	if o.busy || len(o.pending) == 0 {
		o.mu.Unlock()
		return
	}
	o.busy = true
	o.mu.Unlock()
	if err := o.drain(b); err != nil {
		o.mu.Lock()
		o.err = err
		o.mu.Unlock()
	}
}

// drain publishes until nothing is left. The caller has set busy.
func (o *outbox) drain(b *Bus) error {
	for {
		o.mu.Lock()
		if len(o.pending) == 0 {
			o.busy = false
			err := o.err
			o.err = nil
			o.mu.Unlock()
			return err
		}
		batch, data := o.pending, o.data
		o.pending, o.data = o.spare[:0], o.old[:0]
		o.mu.Unlock()
		err := send(b, batch)
		clear(batch)
		if cap(data) > keepData {
			data = nil
		}
		o.mu.Lock()
		o.spare, o.old = batch, data
		if err != nil {
			o.err = err
		}
		o.mu.Unlock()
	}
}

func send(b *Bus, batch []bus.Msg) (err error) {
	for _, m := range batch {
		var e error
		if m.Reply == "" {
			e = b.conn.Publish(m.Subject, m.Data)
		} else {
			e = b.conn.PublishRequest(m.Subject, m.Reply, m.Data)
		}
		if e != nil {
			err = explain(e)
		}
	}
	return err
}
