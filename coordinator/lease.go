package coordinator

import (
	"time"

	"github.com/squall-faas/squall/kvs"
)

// A namespace has one coordinator at a time: the holder of its lease, a record of the system space that the holder writes
// anew each leaseRenew. No clock is compared with another's. One that stands by takes the lease when it has seen no new
// revision for leaseTake of its own time; the holder gives up when it has begun no renewal that succeeded for leaseKeep of
// its own time. The record that the other waits on was written after the holder had begun to, so the holder has stopped
// before the other starts.
//
// A holder that the messaging layer says is not there can do nothing, and is not waited for so long: after leaseGone. Should
// it come back within its time all the same it finds its record overwritten at its next renewal, and ends; until then both may
// take calls, each with runs of its own, and records of durable runs have one owner in any case.
//
//	holder   begin ─ written ──────── begin + leaseKeep: stops
//	other             └ seen ───────────────────────── seen + leaseTake: starts
//
// leaseKeep is longer than JetStream takes to elect a leader, about 5 s, so that no such election ends the holder's runs.
const (
	leaseRenew = time.Second
	leaseKeep  = 8 * time.Second
	leaseTake  = 10 * time.Second
	leaseLook  = 500 * time.Millisecond
	leaseGone  = 1500 * time.Millisecond
)

// lease is what one coordinator knows of the lease. It is pure: the time comes in. The zero lease knows nothing.
type lease struct {
	revision kvs.Revision // of the record; 0 while there is none
	since    time.Time    // revision was first seen
	free     bool         // its holder has given it back, or there is no record
	gone     time.Time    // its holder has not been there since; zero while it is, or may be
	held     time.Time    // the renewal that last succeeded was begun; zero: another's
}

// saw takes in what a look at the record has found.
func (l *lease) saw(revision kvs.Revision, free bool, now time.Time) {
	if l.since.IsZero() || revision != l.revision {
		l.revision, l.since, l.gone = revision, now, time.Time{}
	}
	l.free = free
}

// missing takes in that nobody listens where the holder should.
func (l *lease) missing(now time.Time) {
	if l.gone.IsZero() {
		l.gone = now
	}
}

// mayTake reports whether the lease may be taken, over l.revision.
func (l *lease) mayTake(now time.Time) bool {
	return !l.since.IsZero() && (l.free || now.Sub(l.since) >= leaseTake || !l.gone.IsZero() && now.Sub(l.gone) >= leaseGone)
}

// renewed takes in that the record was written as revision, by a request begun at began.
func (l *lease) renewed(revision kvs.Revision, began time.Time) {
	l.revision, l.since, l.free, l.gone, l.held = revision, began, false, time.Time{}, began
}

// keepUntil is until when this coordinator may serve.
func (l *lease) keepUntil() time.Time { return l.held.Add(leaseKeep) }
