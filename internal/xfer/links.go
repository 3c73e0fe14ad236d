package xfer

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/recent"
)

const (
	maxLinks = 1024 // peers that a client remembers

	// minMeasured is the least that a range must have to say something about bandwidth rather than latency.
	minMeasured = 64 << 10
)

// Link is what a Client has observed of its way to one peer.
type Link struct {
	Addr string
	// Bytes of values that came in ranges of at least 64 KiB, since the client was made, and the Seconds in which at least
	// one such range was on its way: Bytes/Seconds is the bandwidth, whatever the number of streams. Of smaller ranges
	// only the round trip is kept.
	Bytes   int64
	Seconds float64
	// RTT is the smoothed time of a round trip: of connecting, and of small ranges. 0 where none was measured.
	RTT time.Duration
}

// bandwidth in bytes a second, 0 where none was measured.
func (l Link) bandwidth() float64 {
	if l.Seconds <= 0 {
		return 0
	}
	return float64(l.Bytes) / l.Seconds
}

// links are those of a client. Safe for concurrent use.
type links struct {
	mu   sync.Mutex // guards all
	seen *recent.Window[string, *link]
}

type link struct {
	links  *links
	seen   Link
	active int // measured ranges under way
	since  time.Time
}

func newLinks() *links { return &links{seen: recent.New[string, *link](maxLinks)} }

func (ls *links) of(addr string) *link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.seen.Get(addr)
	if !ok {
		l = &link{links: ls, seen: Link{Addr: addr}}
		ls.seen.Add(addr, l)
	}
	return l
}

// all links, by address.
func (ls *links) all() []Link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var all []Link
	ls.seen.Newest(func(_ string, l *link) bool {
		all = append(all, l.seenLocked(time.Now()))
		return true
	})
	slices.SortFunc(all, func(a, b Link) int { return strings.Compare(a.Addr, b.Addr) })
	return all
}

func (l *link) now() Link {
	l.links.mu.Lock()
	defer l.links.mu.Unlock()
	return l.seenLocked(time.Now())
}

func (l *link) seenLocked(now time.Time) Link {
	seen := l.seen
	if l.active > 0 {
		seen.Seconds += now.Sub(l.since).Seconds()
	}
	return seen
}

// begin says that a range of so many bytes is on its way; end, with how many of them came, follows.
func (l *link) begin(length int, now time.Time) {
	if length < minMeasured {
		return
	}
	l.links.mu.Lock()
	defer l.links.mu.Unlock()
	if l.active == 0 {
		l.since = now
	}
	l.active++
}

func (l *link) end(length int, came int64, now time.Time) {
	if length < minMeasured {
		return
	}
	l.links.mu.Lock()
	defer l.links.mu.Unlock()
	l.seen.Bytes += came
	if l.active--; l.active == 0 {
		l.seen.Seconds += now.Sub(l.since).Seconds()
	}
}

// trip notes a round trip.
func (l *link) trip(took time.Duration) {
	l.links.mu.Lock()
	defer l.links.mu.Unlock()
	took = max(took, 1)
	if l.seen.RTT == 0 {
		l.seen.RTT = took
		return
	}
	l.seen.RTT += (took - l.seen.RTT) / 8 // as TCP does, RFC 6298 §2
}
