package jetkv

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
)

const (
	// prefetch bounds what a consumer sends ahead.
	prefetch = 4 << 20 // bytes
	// abandoned is when a server drops the consumer of a watcher that went away without a word.
	abandoned = 30 * time.Second
	// pulse is how often a quiet feed looks at its connection, and every pulsesPerCheck of them at its consumer.
	pulse          = time.Second
	pulsesPerCheck = 5
)

// feed brings a watcher the messages of one stream, in order, none left out. It is an ordered consumer of its own make:
// the client library's cannot be stopped while it waits for a lost server, and does not tell how long it was away.
type feed struct {
	w      *watcher
	sh     *shard
	filter string
	root   int    // length of the subjects' prefix before the slot
	next   uint64 // sequence to go on from

	cons       jetstream.Consumer
	name       string
	reconnects uint64    // of the connection, when cons was made
	heard      time.Time // when it was last certain that nothing is missing
}

var (
	errGap  = errors.New("messages are missing")
	errAway = errors.New("cut off for longer than deletes are remembered")
)

// create makes the consumer.
func (f *feed) create(ctx context.Context) error {
	f.reconnects = f.w.s.conn.Stats().Reconnects
	return f.w.s.retry(ctx, "watch", func(ctx context.Context) (err error) {
		f.cons, err = f.w.s.js.CreateConsumer(ctx, f.sh.name, jetstream.ConsumerConfig{
			DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:       f.next,
			FilterSubject:     f.filter,
			AckPolicy:         jetstream.AckNonePolicy,
			Replicas:          1,
			MemoryStorage:     true,
			InactiveThreshold: abandoned,
		})
		if err == nil {
			f.name = f.cons.CachedInfo().Name
		}
		return err
	})
}

// remove drops the consumer where that is quickly done; else the server does after a while.
func (f *feed) remove() {
	if f.name == "" || !f.w.s.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = f.w.s.js.DeleteConsumer(ctx, f.sh.name, f.name) // best effort
}

// run follows the stream until ctx ends, or until something may have been missed.
func (f *feed) run(ctx context.Context) {
	defer f.remove()
	for {
		err := f.follow(ctx)
		if ctx.Err() != nil || errors.Is(err, errAway) {
			return
		}
		var own *fault.Error
		if errors.As(err, &own) {
			return // a record that this node cannot read
		}
		for again := true; again; {
			err := f.create(ctx)
			switch {
			case err == nil:
				again = false
			case ctx.Err() != nil, f.w.s.conn.IsClosed(), !fault.CodeOf(err).Retryable(), time.Since(f.heard) > f.w.s.cfg.DeleteMarkers:
				return
			default:
				pause(ctx, pulse)
			}
		}
	}
}

// pause waits, or for ctx if that is shorter.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// follow reads from the consumer until it is lost.
func (f *feed) follow(ctx context.Context) error {
	it, err := f.cons.Messages(jetstream.PullMaxBytes(prefetch), jetstream.PullExpiry(abandoned), jetstream.PullHeartbeat(abandoned/2))
	if err != nil {
		return err
	}
	defer it.Stop()
	if err := f.check(); err != nil {
		return err
	}
	wait := min(pulse, f.w.s.cfg.DeleteMarkers/(4*pulsesPerCheck))
	var last uint64 // the consumer's own count of what it delivered
	quiet, suspect := 0, false
	for {
		msg, err := nextMessage(ctx, it, wait)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			meta, err := msg.Metadata()
			if err != nil {
				return err
			}
			if meta.Sequence.Consumer != last+1 {
				return errGap
			}
			if err := f.deliver(msg, meta); err != nil {
				return err
			}
			last, f.next = meta.Sequence.Consumer, meta.Sequence.Stream+1
			quiet, suspect = 0, false
			if err := f.check(); err != nil {
				return err
			}
		case errors.Is(err, context.DeadlineExceeded):
			if f.w.s.conn.Stats().Reconnects != f.reconnects {
				return errGap // what was on its way to the old connection is lost
			}
			if quiet++; quiet%pulsesPerCheck != 0 {
				continue
			}
			info, err := f.info(ctx)
			if err != nil {
				return err
			}
			// A message may be on its way; if it still is at the next check, it is lost.
			behind := info.Delivered.Consumer != last || info.NumPending > 0
			if behind && suspect {
				return errGap
			}
			if suspect = behind; !behind {
				if err := f.check(); err != nil {
					return err
				}
			}
		default:
			return err
		}
	}
}

func nextMessage(ctx context.Context, it jetstream.MessagesContext, wait time.Duration) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return it.Next(jetstream.NextContext(ctx))
}

func (f *feed) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return f.cons.Info(ctx)
}

// check notes that nothing is missing up to now, or finds that a tombstone may have come and gone since that was last
// certain.
func (f *feed) check() error {
	now := time.Now()
	if now.Sub(f.heard) > f.w.s.cfg.DeleteMarkers {
		return errAway
	}
	f.heard = now
	return nil
}

// deliver hands a message to the watcher.
func (f *feed) deliver(msg jetstream.Msg, meta *jetstream.MsgMetadata) error {
	subject := msg.Subject()
	p, mark, ok := parsePlace(subject[min(f.root, len(subject)):])
	if !ok || mark != "" {
		return nil // not ours
	}
	p.subject = subject
	fd, err := f.w.s.decode(f.sh, p, stored{seq: meta.Sequence.Stream, at: meta.Timestamp, data: msg.Data()})
	if err != nil {
		return err
	}
	f.w.add(p, fd)
	return nil
}
