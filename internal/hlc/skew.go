package hlc

import (
	"slices"
	"time"
)

// MaxSkew is how far off the fleet's median a node's clock may be before the node must stop writing.
const MaxSkew = 250 * time.Millisecond

const (
	// SkewWindow is over what stretch of a peer's samples the best is sought: long enough that one of them was quick,
	// short enough that a clock that was set back is noticed.
	SkewWindow = 10 * time.Second
	// SkewForget is for how long the estimate of a peer outlives its last sample.
	SkewForget = 30 * time.Second
	// MaxPeers bounds the peers that are kept; samples of further ones are dropped.
	MaxPeers = 4096

	skewBuckets = 8
	bucketSpan  = SkewWindow / skewBuckets
	// stepFloor is what the local wall clock must have been set by to be taken for a step: less is the rounding of two
	// clocks that are read one after the other, or slewing.
	stepFloor = 5 * time.Millisecond
)

// Skew estimates how far this node's wall clock is off the fleet's median. It is fed with what messages between nodes
// tell anyway: the sender's wall clock when it sent, the receiver's when it received. Their difference is the sender's
// offset less the delay of the message; as a delay is never negative, the largest of several is the closest to the
// truth, and never above it (Cristian 1989, one way only). So an estimate is low by the quickest message's delay, which
// is far below MaxSkew within a cluster.
//
// Pure: time is passed in. Where the local times carry monotonic readings, as those of time.Now do, a local clock that was
// set is noticed at the next call and the estimates are moved along. The zero Skew is ready. Not safe for concurrent use.
type Skew struct {
	peers map[string]*peerSkew
	local time.Time // the latest local time that was passed in
}

type peerSkew struct {
	buckets [skewBuckets]skewBucket // a ring; next-1 is the latest
	next    int
	latest  time.Time // local time of the latest sample
}

type skewBucket struct {
	start time.Time // local; zero where the bucket was never used
	best  time.Duration
}

// Sample records that a message of peer arrived: sent is the peer's wall clock as it sent it, received the local one.
func (s *Skew) Sample(peer string, sent, received time.Time) {
	s.observe(received)
	p := s.peers[peer]
	if p == nil {
		if len(s.peers) >= MaxPeers {
			s.forget(received)
		}
		if len(s.peers) >= MaxPeers {
			return
		}
		if s.peers == nil {
			s.peers = map[string]*peerSkew{}
		}
		p = &peerSkew{}
		s.peers[peer] = p
	}
	p.add(received, bounded(wallSub(sent, received)))
}

// Offset tells how far this node's wall clock is ahead of the fleet's median (negative: behind) and of how many peers
// that is known. The node itself is one of the fleet. With fewer than two peers the answer is 0: of two clocks nobody
// can tell which is wrong.
func (s *Skew) Offset(now time.Time) (fromMedian time.Duration, peers int) {
	s.observe(now)
	s.forget(now)
	offsets := []time.Duration{0}
	for _, p := range s.peers {
		offsets = append(offsets, p.best())
	}
	peers = len(s.peers)
	if peers < 2 {
		return 0, peers
	}
	slices.Sort(offsets)
	low, high := offsets[(len(offsets)-1)/2], offsets[len(offsets)/2]
	return -(low + (high-low)/2), peers
}

// Forget drops what is known of a peer, as when it has left the fleet.
func (s *Skew) Forget(peer string) { delete(s.peers, peer) }

// observe notices that the local wall clock was set since the last call. Every estimate is relative to it.
func (s *Skew) observe(now time.Time) {
	if !s.local.IsZero() {
		// Sub goes by the monotonic readings where both times have one, so without them the step is 0.
		if step := wallSub(now, s.local) - now.Sub(s.local); step.Abs() >= stepFloor {
			for _, p := range s.peers {
				for i := range p.buckets {
					p.buckets[i].best = bounded(p.buckets[i].best - bounded(step))
				}
			}
		}
	}
	s.local = now
}

func (s *Skew) forget(now time.Time) {
	for name, p := range s.peers {
		if now.Sub(p.latest) > SkewForget {
			delete(s.peers, name)
		}
	}
}

// add puts a difference into the bucket of its time. A local time that went back, which only one without a monotonic
// reading can, opens a bucket too.
func (p *peerSkew) add(received time.Time, difference time.Duration) {
	b := &p.buckets[(p.next+skewBuckets-1)%skewBuckets]
	if age := received.Sub(b.start); b.start.IsZero() || age < 0 || age >= bucketSpan {
		b = &p.buckets[p.next]
		p.next = (p.next + 1) % skewBuckets
		*b = skewBucket{start: received, best: difference}
	}
	b.best = max(b.best, difference)
	p.latest = received
}

// best is the largest difference of the window that ends with the latest sample. A bucket counts while all of it lies
// in the window.
func (p *peerSkew) best() time.Duration {
	best := p.buckets[(p.next+skewBuckets-1)%skewBuckets].best
	for _, b := range p.buckets {
		if age := p.latest.Sub(b.start); !b.start.IsZero() && age >= 0 && age < SkewWindow {
			best = max(best, b.best)
		}
	}
	return best
}

// wallSub is a-b by wall clocks alone.
func wallSub(a, b time.Time) time.Duration { return a.Round(0).Sub(b.Round(0)) }

// bounded keeps sums of offsets from overflowing, whatever a peer says that its time is.
func bounded(d time.Duration) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	return min(max(d, -century), century)
}
