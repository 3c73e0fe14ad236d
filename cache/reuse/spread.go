package reuse

import "math"

// DefaultShare is Spread.Share's default.
const DefaultShare = 0.25

// Spread says over how many peers one object is spread, so that none is busy with it alone (Faa$T §4, bandwidth).
type Spread struct {
	Bandwidth float64 // bytes per second that a peer can send; 0 or less: nothing is known, and nothing is spread
	Share     float64 // of Bandwidth that one object may take of one peer; 0 means DefaultShare
}

// Replicas is over how many of nodes peers an object of so many bytes should be spread that is fetched rate times a
// second: 1, its owner alone, up to nodes.
func (s Spread) Replicas(rate float64, bytes int64, nodes int) int {
	return s.within(rate*float64(max(bytes, 0))/s.cap(), nodes)
}

// Next is Replicas for an object that has some already: it grows at once, and shrinks only where a fifth less would do
// as well, because to copy and to drop an object by turns is the dearest of all.
func (s Spread) Next(have int, rate float64, bytes int64, nodes int) int {
	want := s.Replicas(rate, bytes, nodes)
	if want >= have {
		return want
	}
	return min(have, s.Replicas(rate*1.25, bytes, nodes), max(nodes, 1))
}

// cap is what one object may take of one peer, in bytes per second.
func (s Spread) cap() float64 {
	share := s.Share
	if share <= 0 {
		share = DefaultShare
	}
	if s.Bandwidth <= 0 {
		return math.Inf(1)
	}
	return s.Bandwidth * share
}

func (s Spread) within(peers float64, nodes int) int {
	nodes = max(nodes, 1)
	switch {
	case !(peers > 1): // NaN too
		return 1
	case peers >= float64(nodes):
		return nodes
	}
	return int(math.Ceil(peers))
}
