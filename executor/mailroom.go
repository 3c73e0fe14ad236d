package executor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// Functions that are running send each other messages (Cloudburst §3). One on the same node gets the value as it is; one
// elsewhere gets it in a request that its executor answers once the message is in the mailbox:
//
//	SendValue ── local ──────────────────────────────▶ mailbox ──▶ RecvValue
//	    └── Mail ──▶ squall.<ns>.mail.<executor> ──────▶ ▲ │
//	    ◀───────────────── Mailed ─────────────────────────┘
//
// A sender has one message at a time under way to each receiver, so that order is kept. Its messages are numbered: the
// receiving mailroom drops one that the transport brings twice, and one that comes after a later one because its sender
// has given up waiting for the answer.

// Bounds of messages.
const (
	mailboxMessages = 1024
	mailboxBytes    = 16 << 20
	messageBytes    = 128                    // what a message takes besides its value
	mailTTL         = time.Minute            // of a value too large for its message; it is deleted once it has arrived
	mailAnswer      = 5 * time.Second        // how long an answer may take
	mailRetry       = 100 * time.Millisecond // the hint of a full mailbox
	keepSenders     = 4 << 10                // pairs of sender and receiver whose last message is remembered
)

// mailroom has the mailboxes of a node's invocations. Safe for concurrent use.
type mailroom struct {
	cfg         Config
	subjects    wire.Subjects
	incarnation func() uint64
	inbox       bus.Subscription
	cancel      context.CancelFunc // of fetches
	fetches     sync.WaitGroup     // of values that did not fit their messages; grows only while closed is false

	mu      sync.Mutex // guards what follows; taken before a mailbox's
	boxes   map[string]*mailbox
	serial  uint64
	senders *recent.Window[passage, arrival] // made when the first message comes from elsewhere
	closed  bool
}

// passage is from a sender to a receiver.
type passage struct{ from, to string }

// arrival is the last message that came by a passage.
type arrival struct {
	seq     uint64
	settled bool // with err; else its value is being fetched
	err     *fault.Error
}

// newMailroom opens the mailroom of the executor that cfg, which is valid, describes.
func newMailroom(cfg Config, incarnation func() uint64) (*mailroom, error) {
	ctx, cancel := context.WithCancel(context.Background())
	m := &mailroom{
		cfg: cfg, subjects: wire.In(cfg.Namespace), incarnation: incarnation, cancel: cancel, boxes: map[string]*mailbox{},
	}
	inbox, err := cfg.Bus.Subscribe(m.subjects.Mail(cfg.Name), "", func(msg bus.Msg) { m.arrived(ctx, msg) })
	if err != nil {
		cancel()
		return nil, err
	}
	m.inbox = inbox
	return m, nil
}

// close refuses further messages, drops those that nobody received, and waits for what is being fetched. Idempotent.
func (m *mailroom) close() {
	m.mu.Lock()
	boxes := m.boxes
	m.boxes, m.closed = map[string]*mailbox{}, true
	m.mu.Unlock()
	_ = m.inbox.Unsubscribe() // only fails on a bus that is closed already
	m.cancel()
	for _, b := range boxes {
		b.close()
	}
	m.fetches.Wait()
}

// open makes the mailbox of an invocation, which ends with ctx.
func (m *mailroom) open(ctx context.Context, c *call) *mailbox {
	a := address{executor: m.cfg.Name, incarnation: m.incarnation(), run: c.run, invocation: c.invocation}
	b := &mailbox{room: m, wake: make(chan struct{}, 1), done: make(chan struct{})}
	m.mu.Lock()
	m.serial++
	a.serial = m.serial
	b.address = a.String()
	if !m.closed {
		m.boxes[b.address] = b
	}
	m.mu.Unlock()
	b.forget = context.AfterFunc(ctx, b.close)
	return b
}

// at gives the mailbox that has an address here, or nil.
func (m *mailroom) at(address string) *mailbox {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boxes[address]
}

// arrived takes in a message from another node. It runs on the subscription's goroutine and does not block.
func (m *mailroom) arrived(ctx context.Context, msg bus.Msg) {
	mail := &wire.Mail{}
	if err := wire.Decode(msg.Data, mail); err != nil {
		m.cfg.Logger.Warn("mail refused", "executor", m.cfg.Name, "err", err)
		return
	}
	if settled, err := m.admit(ctx, msg, mail); settled {
		m.answer(msg, err)
	}
}

// admit puts a message into its mailbox, or says why not; settled is false where it is to be answered later, or never.
func (m *mailroom) admit(ctx context.Context, msg bus.Msg, mail *wire.Mail) (settled bool, err *fault.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.senders == nil {
		m.senders = recent.New[passage, arrival](keepSenders)
	}
	by := passage{mail.From, mail.To}
	if last, ok := m.senders.Get(by); ok && mail.Seq <= last.seq { // brought twice, or overtaken
		return mail.Seq == last.seq && last.settled, last.err
	}
	b, size := m.boxes[mail.To], messageBytes+mail.Value.Len()
	err = b.reserve(mail.To, size)
	if err == nil && mail.Value.Away() {
		m.senders.Add(by, arrival{seq: mail.Seq})
		m.fetches.Go(func() { m.fetch(ctx, b, msg, mail, size) })
		return false, nil
	}
	if err == nil {
		v, bad := value.Parse(mail.Value.Inline)
		err = b.fill(message{mail.From, v, size}, bad)
	}
	m.senders.Add(by, arrival{seq: mail.Seq, settled: true, err: err})
	return true, err
}

// fetch brings the value of a message that did not fit it.
func (m *mailroom) fetch(ctx context.Context, b *mailbox, msg bus.Msg, mail *wire.Mail, size int) {
	v, bad := m.cfg.Offload.In(ctx, mail.Value)
	settled, err := m.fetched(b, mail, message{mail.From, v, size}, bad)
	if settled {
		m.answer(msg, err)
	}
	if err == nil {
		m.cfg.Offload.Discard(ctx, []wire.Value{mail.Value})
	}
}

// fetched is the rest of admit.
func (m *mailroom) fetched(b *mailbox, mail *wire.Mail, in message, bad error) (settled bool, err *fault.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	by := passage{mail.From, mail.To}
	if last, ok := m.senders.Get(by); ok && last.seq > mail.Seq { // overtaken: the sender has given it up
		b.release(in.size)
		return false, nil
	}
	err = b.fill(in, bad)
	m.senders.Add(by, arrival{seq: mail.Seq, settled: true, err: err})
	return true, err
}

func (m *mailroom) answer(msg bus.Msg, err *fault.Error) {
	b, bad := wire.Encode(&wire.Mailed{Err: err})
	if bad == nil {
		bad = m.cfg.Bus.Publish(bus.Msg{Subject: msg.Reply, Data: b})
	}
	if bad != nil {
		m.cfg.Logger.Warn("answer to mail not sent", "executor", m.cfg.Name, "err", bad)
	}
}

// send sends a message of the invocation that has the mailbox from to one on another node.
func (m *mailroom) send(ctx context.Context, from *mailbox, to address, v value.Value) error {
	receiver := to.String()
	seq, done, err := from.turn(ctx, receiver)
	if err != nil {
		return err
	}
	defer done()
	vs, err := m.cfg.Offload.Send(ctx, offload.Terms{TTL: mailTTL, To: to.executor}, v)
	if err != nil {
		return err
	}
	if err = tooMuch(vs[0].Len()); err == nil {
		err = m.request(ctx, to, &wire.Mail{From: from.address, To: receiver, Seq: seq, Value: vs[0]})
	}
	// A sender that tries again and again must not fill the store; what this node holds itself has been pulled.
	if (err != nil || vs[0].Held != nil) && !fault.Is(err, fault.OutcomeUnknown) && ctx.Err() == nil {
		m.cfg.Offload.Discard(ctx, vs)
	}
	return err
}

func (m *mailroom) request(ctx context.Context, to address, mail *wire.Mail) error {
	data, err := wire.Encode(mail)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, mailAnswer)
	defer cancel()
	reply, err := m.cfg.Bus.Request(wait, m.subjects.Mail(to.executor), data)
	var mailed wire.Mailed
	if err == nil {
		err = wire.Decode(reply, &mailed)
	}
	var known *fault.Error
	switch {
	case err == nil && mailed.Err == nil:
		return nil
	case err == nil:
		return mailed.Err
	case errors.Is(err, bus.ErrNoResponders):
		return hasReturned(mail.To)
	case errors.Is(err, bus.ErrTooLarge):
		return fault.New(fault.TooLarge, "the message exceeds what the transport carries: send a reference: %w", err)
	case reply == nil && errors.As(err, &known): // the transport refused it
		return known
	}
	return fault.New(fault.OutcomeUnknown, "no answer from executor %s: the message may be in the mailbox or not; send what does no harm twice, or have it answered: %w", to.executor, err)
}
