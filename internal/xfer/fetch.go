package xfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fault"
)

// fetch is the shell of one plan: a goroutine for each stream, and the caller's own, which asks the plan what is next.
type fetch struct {
	client     *Client
	ref        Ref
	capability Capability
	dst        []byte
	size       int64
	op         byte    // of the requests
	piece      int64   // bytes that each sum is of
	sums       Sums    // of the ranges that are there
	links      []*link // by peer of the plan
	plan       *plan

	open map[int]*transfer // by stream; the caller's goroutine alone uses it
	ends chan end          // has room for every stream
	done sync.WaitGroup    // of streams
}

// transfer is a stream as the shell sees it.
type transfer struct {
	cancel context.CancelFunc
	got    atomic.Int64
}

// end of a stream.
type end struct {
	id  int
	err error
}

// run returns when no goroutine writes to dst any more.
func (f *fetch) run(ctx context.Context) error {
	streams, stop := context.WithCancel(ctx)
	defer f.done.Wait()
	defer stop()
	f.open, f.ends = map[int]*transfer{}, make(chan end, f.client.cfg.Window)
	for {
		now := time.Now()
		for _, s := range f.plan.start(now) {
			f.begin(streams, s)
		}
		if f.plan.done() {
			return nil
		}
		if f.plan.stuck() {
			return f.failed()
		}
		var alarm <-chan time.Time
		if at := f.plan.wake(now); !at.IsZero() {
			alarm = time.After(at.Sub(now)) // collected when it is not needed any more
		}
		select {
		case e := <-f.ends:
			if ctx.Err() != nil { // then the stream's end says nothing of its peer
				return f.ended(ctx)
			}
			f.end(e)
		case <-alarm:
			for _, s := range f.plan.steal(time.Now(), func(id int) int64 { return f.open[id].got.Load() }) {
				f.open[s.id].cancel()
			}
		case <-ctx.Done():
			return f.ended(ctx)
		}
	}
}

// begin starts the goroutine of a stream.
func (f *fetch) begin(ctx context.Context, s *stream) {
	ctx, cancel := context.WithCancel(ctx)
	t := &transfer{cancel: cancel}
	f.open[s.id] = t
	offset, length := f.plan.bounds(s.index)
	id, l, addr := s.id, f.links[s.peer], f.plan.peers[s.peer].addr
	f.done.Go(func() {
		defer cancel()
		sums := f.sums[offset/f.piece : (offset+int64(length)+f.piece-1)/f.piece]
		r := request{op: f.op, ref: f.ref, capability: f.capability, offset: offset, length: length}
		err := f.client.stream(ctx, l, addr, &r, f.size, f.dst[offset:offset+int64(length)], &t.got, sums)
		f.ends <- end{id, err}
	})
}

func (f *fetch) end(e end) {
	delete(f.open, e.id)
	if e.err == nil {
		f.plan.finished(e.id, time.Now())
	} else {
		f.plan.failed(e.id, fault.From(e.err), time.Now())
	}
}

// ended is the error after the end of ctx.
func (f *fetch) ended(ctx context.Context) error {
	e := fault.From(context.Cause(ctx))
	return fault.New(e.Code, "fetch of %s: %w", f.what(), e)
}

// failed is the error when no peer is left. Its code is one that may pass with time, if any peer's is.
func (f *fetch) failed() error {
	var each []string
	code := fault.Code("")
	for _, q := range f.plan.peers {
		each = append(each, q.err.Message)
		if code == "" || weight(q.err.Code) > weight(code) {
			code = q.err.Code
		}
	}
	e := fault.New(code, "no peer gives %s, %d of %d ranges are missing: %s", f.what(), f.plan.left, f.plan.ranges(), strings.Join(each, "; "))
	if code == fault.Overloaded {
		e.RetryAfter = retryAfter
	}
	return e
}

// weight orders codes by what they say of a fetch in which peers failed with different ones.
func weight(c fault.Code) int {
	switch {
	case c == fault.Overloaded:
		return 4
	case c.Retryable():
		return 3
	case c == fault.NotFound: // says least: another peer knows the value
		return 0
	case c == fault.Unauthorized:
		return 1
	}
	return 2
}

func (f *fetch) what() string {
	return fmt.Sprintf("the value %.64q of %d bytes", f.ref.Key, f.size)
}

// stalled reports whether a deadline of a connection passed.
func stalled(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
