package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Shift is one of several coordinators of a namespace, of which one serves. All fields are required.
type Shift struct {
	Name      string // a checked name, unique among the nodes of the namespace
	Namespace string
	Bus       bus.Bus
	System    kvs.Store
	Logger    *slog.Logger

	// Start makes a Coordinator of that name, with New.
	Start func(context.Context) (*Coordinator, error)
	// Changed is told the one that serves, and nil when it has ended or when another is found to serve.
	Changed func(*Coordinator)
}

// Serve coordinates the namespace whenever it holds the namespace's lease, and stands by while another coordinator does,
// until ctx ends. An error is Start's.
//
// A coordinator that ends gives the lease back, and another takes it within half a second. After one that died that takes
// three seconds, after one that hangs or is cut off ten.
func (s Shift) Serve(ctx context.Context) error {
	return (&standby{Shift: s, self: s.Name + " " + id.Token(8), log: s.Logger.With("coordinator", s.Name)}).run(ctx)
}

// standby is the shell around a lease.
type standby struct {
	Shift
	self  string // what the record says when the lease is this one's; nobody else's
	log   *slog.Logger
	lease lease
}

func (s *standby) run(ctx context.Context) error {
	for s.await(ctx) {
		err := s.serve(ctx)
		switch {
		case ctx.Err() != nil:
			s.release()
			return err
		case fault.Is(err, fault.Conflict), fault.Is(err, fault.Unreachable), fault.Is(err, fault.Unavailable), fault.Is(err, fault.DeadlineExceeded):
			s.log.Warn("the coordinator cannot serve for now", "err", err)
		case err != nil:
			s.release()
			return err
		}
	}
	return nil
}

// await returns true when the lease is held, false when ctx has ended.
func (s *standby) await(ctx context.Context) bool {
	said := false
	t := time.NewTicker(leaseLook)
	defer t.Stop()
	for {
		holder, err := s.look(ctx)
		now := time.Now()
		switch {
		case err != nil:
			s.log.Debug("the lease cannot be read", "err", err)
		case s.lease.mayTake(now) && s.write(ctx, s.self) == nil:
			return ctx.Err() == nil
		case !said && !s.lease.mayTake(now):
			said = true
			s.log.Info("standing by", "serves", holder)
			s.Changed(nil)
		}
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	}
}

func (s *standby) look(ctx context.Context) (holder string, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseKeep)
	defer cancel()
	e, err := s.System.Get(ctx, wire.LeaseKey)
	switch {
	case fault.Is(err, fault.NotFound):
		s.lease.saw(0, true, time.Now())
		return "", nil
	case err != nil:
		return "", err
	}
	holder, err = value.As[string](e.Value)
	if err == nil {
		s.lease.saw(e.Revision, holder == "" || holder == s.self, time.Now()) // its own: the answer to a write was lost
		s.ping(ctx, holder)
	}
	return holder, err
}

// ping looks whether somebody listens where the holder should. That it does not answer says nothing.
func (s *standby) ping(ctx context.Context, holder string) {
	ctx, cancel := context.WithTimeout(ctx, leaseLook)
	defer cancel()
	name, _, _ := strings.Cut(holder, " ")
	if id.CheckName("coordinator", name) != nil || s.lease.free {
		return
	}
	subject := wire.In(s.Namespace).Ping(name)
	if _, err := s.Bus.Request(ctx, subject, wire.MustEncode(&wire.Ping{From: wire.Peer{Name: s.Name}})); errors.Is(err, bus.ErrNoResponders) {
		s.lease.missing(time.Now())
		return
	}
	s.lease.gone = time.Time{}
}

// write makes holder the lease's, over what is known of it.
func (s *standby) write(ctx context.Context, holder string) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, leaseRenew*2)
	defer cancel()
	rev, err := s.System.CompareAndSet(ctx, wire.LeaseKey, value.MustOf(holder), s.lease.revision, kvs.PutOptions{})
	if err == nil {
		s.lease.renewed(rev, began)
	}
	return err
}

// serve has a coordinator serve while the lease is held.
func (s *standby) serve(ctx context.Context) error {
	held, lost := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		s.keep(held, lost)
	}()
	defer func() {
		lost()
		<-kept
	}()
	c, err := s.Start(held)
	if err != nil {
		if held.Err() != nil && ctx.Err() == nil {
			err = fault.New(fault.Unavailable, "the lease was lost before the coordinator had started: %w", err)
		}
		return err
	}
	s.log.Info("serving")
	s.Changed(c)
	<-held.Done()
	s.Changed(nil)
	return c.Close()
}

// keep renews the lease until ctx ends, or it is lost and lost is called.
func (s *standby) keep(ctx context.Context, lost func()) {
	end := time.NewTimer(time.Until(s.lease.keepUntil()))
	defer end.Stop()
	t := time.NewTicker(leaseRenew)
	defer t.Stop()
	renewals := make(chan error, 1)
	under := false
	defer func() {
		lost()
		if under {
			if err := <-renewals; err != nil { // it uses the lease
				s.log.Debug("the last renewal", "err", err)
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			s.log.Warn("the lease could not be renewed: the coordinator ends")
			return
		case <-t.C:
			if !under {
				under = true
				go func() { renewals <- s.renew(ctx) }()
			}
		case err := <-renewals:
			under = false
			if fault.Is(err, fault.Conflict) {
				s.log.Warn("the lease was taken: the coordinator ends")
				return
			}
			if err != nil {
				t.Reset(leaseLook)
				continue
			}
			t.Reset(leaseRenew)
			end.Reset(time.Until(s.lease.keepUntil()))
		}
	}
}

// renew writes the record anew. A write whose answer was lost may have been stored: then the revision is another, and the
// holder still this one.
func (s *standby) renew(ctx context.Context) error {
	err := s.write(ctx, s.self)
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	began := time.Now()
	e, readErr := s.System.Get(ctx, wire.LeaseKey)
	if readErr != nil {
		return readErr
	}
	if holder, readErr := value.As[string](e.Value); readErr != nil || holder != s.self {
		return err
	}
	s.lease.revision, s.lease.since = e.Revision, began
	return s.write(ctx, s.self)
}

// release gives the lease back, so that nobody has to wait for it.
func (s *standby) release() {
	ctx, cancel := context.WithTimeout(context.Background(), leaseRenew*2)
	defer cancel()
	if err := s.write(ctx, ""); err != nil {
		s.log.Debug("the lease was not given back", "err", err)
	}
}
