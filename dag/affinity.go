package dag

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/value"
)

// queues hold the items of a Map that wait to be sent. An element that is a reference prefers one place, by rendezvous
// hashing of its key over the places: another run over the same keys sends it to the same executor, whose cache has
// it. A place takes the items that prefer it, then those that prefer none, then the last of the longest other queue:
// idle places matter more than warm caches.
//
// An item that has left a queue other than by take stays in its list, and is passed over there: it counts only where
// it is queued and belongs.
type queues struct {
	places []place
	wants  []want // by item; nil where no element is a reference
	shared queue  // items that prefer no place
	isIn   []bool // by item: whether it waits in a queue
	queued int    // items that wait
}

// place is a site that has offered to run items.
type place struct {
	site   Site
	name   uint64 // what rendezvous hashing takes the site for
	credit int    // items that it will take now
	gone   bool
	queue  queue
}

// want is the place that an item prefers.
type want struct {
	isRef  bool
	key    uint64 // hash of the key
	weight uint64 // of the key at the place
	place  int32
}

// anywhere is the preference of an item that has none.
const anywhere = -1

// queue is a list of items, first come, first served.
type queue struct {
	list []int32
	head int
	n    int // how many of the list, from head on, are queued and belong here
}

// newQueues queues all the elements of a list.
func newQueues(elems []value.Value) queues {
	q := queues{isIn: make([]bool, len(elems)), queued: len(elems)}
	q.shared = queue{list: make([]int32, len(elems)), n: len(elems)}
	for i := range elems {
		q.isIn[i], q.shared.list[i] = true, int32(i)
		key, ok := elems[i].Ref()
		if !ok {
			continue
		}
		if q.wants == nil {
			q.wants = make([]want, len(elems))
		}
		q.wants[i] = want{isRef: true, key: xxhash.Sum64String(string(key))}
	}
	for i := range q.wants {
		q.wants[i].place = anywhere
	}
	return q
}

// weigh is the rendezvous hash of a key at a place.
func weigh(key, name uint64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], key)
	binary.LittleEndian.PutUint64(b[8:], name)
	return xxhash.Sum64(b[:])
}

// find gives the place of a site, or -1. There are few places.
func (q *queues) find(s Site) int {
	for p := range q.places {
		if q.places[p].site == s && !q.places[p].gone {
			return p
		}
	}
	return -1
}

// join gives the place of the site that made an offer. A new one wins the items whose keys weigh most there.
func (q *queues) join(o Offer) int {
	if p := q.find(o.Site); p >= 0 {
		return p
	}
	name := o.Affinity
	if name == 0 {
		name = uint64(o.Site)
	}
	p := len(q.places)
	q.places = append(q.places, place{site: o.Site, name: name})
	for i := range q.wants {
		if w := &q.wants[i]; w.isRef {
			if weight := weigh(w.key, name); w.place == anywhere || weight > w.weight {
				q.prefer(i, p, weight)
			}
		}
	}
	return p
}

// leave takes a place away; the items that preferred it choose anew.
func (q *queues) leave(p int) {
	q.places[p].gone, q.places[p].credit = true, 0
	for i := range q.wants {
		w := &q.wants[i]
		if !w.isRef || int(w.place) != p {
			continue
		}
		best, most := anywhere, uint64(0)
		for other := range q.places {
			if weight := weigh(w.key, q.places[other].name); !q.places[other].gone && (best == anywhere || weight > most) {
				best, most = other, weight
			}
		}
		q.prefer(i, best, most)
	}
}

// prefer moves an item to another place's queue.
func (q *queues) prefer(i, p int, weight uint64) {
	if q.isIn[i] {
		q.of(q.preference(i)).n--
	}
	q.wants[i].place, q.wants[i].weight = int32(p), weight
	if q.isIn[i] {
		q.of(p).add(i)
	}
}

func (q *queues) preference(i int) int {
	if q.wants == nil {
		return anywhere
	}
	return int(q.wants[i].place)
}

func (q *queues) of(p int) *queue {
	if p == anywhere {
		return &q.shared
	}
	return &q.places[p].queue
}

func (q *queue) add(i int) {
	q.list = append(q.list, int32(i))
	q.n++
}

// push queues an item behind the others.
func (q *queues) push(i int) {
	q.isIn[i] = true
	q.queued++
	q.of(q.preference(i)).add(i)
}

// drop takes a certain item out.
func (q *queues) drop(i int) {
	q.isIn[i] = false
	q.queued--
	q.of(q.preference(i)).n--
}

// take takes out the next item for a place; with steal, one of another place's if it must.
func (q *queues) take(p int, steal bool) (int, bool) {
	switch {
	case q.places[p].queue.n > 0:
		return q.first(p), true
	case q.shared.n > 0:
		return q.first(anywhere), true
	case !steal || q.queued == 0:
		return 0, false
	}
	victim := 0
	for other := range q.places {
		if q.places[other].queue.n > q.places[victim].queue.n {
			victim = other
		}
	}
	return q.last(victim), true
}

// first takes the first item of a queue that has one.
func (q *queues) first(p int) int {
	from := q.of(p)
	for {
		i := int(from.list[from.head])
		from.head++
		if q.isIn[i] && q.preference(i) == p {
			q.drop(i)
			return i
		}
	}
}

// last takes the last item of a queue that has one.
func (q *queues) last(p int) int {
	from := q.of(p)
	for {
		end := len(from.list) - 1
		i := int(from.list[end])
		from.list = from.list[:end]
		if q.isIn[i] && q.preference(i) == p {
			q.drop(i)
			return i
		}
	}
}
