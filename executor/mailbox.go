package executor

import (
	"context"
	"sync"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// mailbox is an invocation's: what came for it, and whose turn it is to send. Safe for concurrent use.
type mailbox struct {
	room    *mailroom
	address string
	wake    chan struct{} // holds a token where somebody should look
	done    chan struct{} // closed with over
	forget  func() bool   // the invocation's context need not close it any more

	mu    sync.Mutex // guards what follows
	queue []message
	count int // in queue or being fetched
	bytes int
	over  bool
	sent  uint64
	lanes map[string]*lane // by receiver, while somebody sends to it
}

type message struct {
	from string
	v    value.Value
	size int
}

// lane lets one of the invocation's goroutines send at a time.
type lane struct {
	busy  chan struct{} // holds a token while one sends
	users int
}

// reserve takes room for a message in the mailbox at the address; b is nil where there is none.
func (b *mailbox) reserve(at string, size int) *fault.Error {
	if b == nil {
		return hasReturned(at)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return hasReturned(at)
	case b.count >= mailboxMessages || b.bytes+size > mailboxBytes:
		return fault.New(fault.Overloaded, "%d messages of %d bytes wait in the mailbox of %s: try again when it has received some", b.count, b.bytes, at).
			With(func(e *fault.Error) { e.RetryAfter = mailRetry })
	}
	b.count++
	b.bytes += size
	return nil
}

// deliver puts in a message of a function on the same node.
func (b *mailbox) deliver(m message) error {
	m.size = messageBytes + m.v.Size()
	if err := b.reserve(b.address, m.size); err != nil {
		return err
	}
	if err := b.fill(m, nil); err != nil { // a nil *fault.Error is no nil error
		return err
	}
	return nil
}

func (b *mailbox) release(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.releaseLocked(size)
}

func (b *mailbox) releaseLocked(size int) {
	b.count--
	b.bytes -= size
}

// fill puts in a message that room was reserved for; or gives the room back, where its value is not to be had.
func (b *mailbox) fill(m message, bad error) *fault.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		b.releaseLocked(m.size)
		return hasReturned(b.address)
	case bad != nil:
		b.releaseLocked(m.size)
		return fault.From(bad)
	}
	b.queue = append(b.queue, m)
	b.wakeOne()
	return nil
}

func (b *mailbox) wakeOne() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take gives the first message; ok is false where there is none. Once the mailbox is closed it is cancelled.
func (b *mailbox) take() (m message, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return m, false, errMailboxClosed
	case len(b.queue) == 0:
		return m, false, nil
	}
	m, b.queue[0] = b.queue[0], message{}
	b.queue = b.queue[1:]
	b.releaseLocked(m.size)
	if len(b.queue) > 0 {
		b.wakeOne() // there may be others who wait, and two messages leave one token
	}
	return m, true, nil
}

var errMailboxClosed = fault.New(fault.Cancelled, "the function has returned: it receives nothing any more")

// wait gives the first message when it is there.
func (b *mailbox) wait(ctx context.Context) (message, error) {
	for {
		if m, ok, err := b.take(); ok || err != nil {
			return m, err
		}
		select {
		case <-b.wake:
		case <-b.done:
		case <-ctx.Done():
			return message{}, context.Cause(ctx)
		}
	}
}

// turn waits until nothing else is under way to the receiver, and numbers the next message. The caller calls done.
func (b *mailbox) turn(ctx context.Context, receiver string) (seq uint64, done func(), err error) {
	b.mu.Lock()
	l := b.lanes[receiver]
	if l == nil {
		if b.lanes == nil {
			b.lanes = map[string]*lane{}
		}
		l = &lane{busy: make(chan struct{}, 1)}
		b.lanes[receiver] = l
	}
	l.users++
	b.mu.Unlock()
	leave := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(b.lanes, receiver)
		}
	}
	select {
	case l.busy <- struct{}{}:
	case <-ctx.Done():
		leave()
		return 0, nil, context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
	return b.sent, func() { <-l.busy; leave() }, nil
}

// close drops what nobody received. Idempotent.
func (b *mailbox) close() {
	b.mu.Lock()
	if b.over {
		b.mu.Unlock()
		return
	}
	b.over, b.queue = true, nil
	close(b.done)
	b.mu.Unlock()
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	delete(b.room.boxes, b.address)
}

// incarnation is the executor's present one.
func (e *Executor) incarnation() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.self.Incarnation
}

// mailbox gives the invocation's, which is there from the first time that somebody asks for it.
func (i *invocation) mailbox() *mailbox {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.box == nil {
		i.box = i.e.mail.open(i.Context, i.call)
	}
	return i.box
}

// hangUp closes the mailbox when the function has returned.
func (i *invocation) hangUp() {
	i.mu.Lock()
	b := i.box
	i.mu.Unlock()
	if b != nil {
		b.forget()
		b.close()
	}
}

// Address names the invocation.
func (i *invocation) Address() string { return i.mailbox().address }

// SendValue sends a message to an invocation here or elsewhere.
func (i *invocation) SendValue(to string, v value.Value) error {
	if i.Context.Err() != nil {
		return ended(i.Context, i.Err())
	}
	if err := tooMuch(v.Size()); err != nil {
		return err
	}
	from := i.mailbox()
	if b := i.e.mail.at(to); b != nil {
		return b.deliver(message{from: from.address, v: v})
	}
	a, err := parseAddress(to)
	switch {
	case err != nil:
		return err
	case a.executor == i.e.cfg.Name:
		return hasReturned(to)
	}
	return ended(i.Context, i.e.mail.send(i.Context, from, a, v))
}

// RecvValue waits for a message, with the slot given back meanwhile.
func (i *invocation) RecvValue() (from string, v value.Value, err error) {
	b := i.mailbox()
	m, ok, err := b.take()
	if !ok && err == nil {
		i.leave()
		m, err = b.wait(i.Context)
		i.comeBack()
	}
	if err != nil {
		return "", value.Value{}, ended(i.Context, err)
	}
	return m.from, m.v, nil
}
