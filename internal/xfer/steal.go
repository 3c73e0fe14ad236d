package xfer

import (
	"slices"
	"time"
)

const (
	// A range is taken from a slow peer when another is expected to have all of it in less than half of the time that the
	// slow one still needs, give or take stealSlack; of one that nothing is known about, stealBlind is expected.
	stealSlack = 20 * time.Millisecond
	stealBlind = 100 * time.Millisecond
	stealEach  = 20 * time.Millisecond
	maxSteals  = 2 // of one range
)

// steal looks at the streams under way, once no range is left to start, and gives those to interrupt because a peer with
// a free stream will be done much sooner. got says how many bytes of a stream are there. The shell reports their end
// with failed, or with finished if that came first.
func (p *plan) steal(now time.Time, got func(id int) int64) []*stream {
	for _, s := range p.streams {
		if n := got(s.id); n != s.got {
			s.got, s.moved = n, now
		}
	}
	if len(p.todo) > 0 {
		return nil
	}
	var cut []*stream
	for thief := range p.peers {
		if !p.free(thief, now) {
			continue
		}
		var worst *stream
		var longest time.Duration
		for _, s := range p.streams {
			if s.peer == thief || s.stolen || s.steals >= maxSteals || slices.Contains(s.not, thief) {
				continue
			}
			need := p.needs(s, now)
			if need > 2*p.expected(thief, s)+stealSlack && need > longest {
				worst, longest = s, need
			}
		}
		if worst != nil {
			worst.stolen = true
			worst.steals++
			cut = append(cut, worst)
		}
	}
	return cut
}

// needs is how long a stream will still take: at its rate so far, and at least as long as nothing has come of it.
func (p *plan) needs(s *stream, now time.Time) time.Duration {
	silent := now.Sub(s.moved)
	if s.got == 0 {
		return silent
	}
	_, length := p.bounds(s.index)
	rest := float64(int64(length)-s.got) / float64(s.got) * float64(s.moved.Sub(s.began))
	return max(silent, time.Duration(rest))
}

// expected is how long a peer would take for the whole range of a stream.
func (p *plan) expected(peer int, s *stream) time.Duration {
	q := &p.peers[peer]
	if q.rate == 0 {
		return stealBlind
	}
	_, length := p.bounds(s.index)
	return q.rtt + time.Duration(float64(length)/q.rate*float64(time.Second))
}
