package reuse

// stack is an LRU stack that tells how many bytes lie above a key: the sizes of the distinct keys that were touched
// since. Keys lie in slots in the order of their last touch, and a Fenwick tree sums the slots; both are renumbered
// when the slots run out, which costs a touch next to nothing on the average. Not safe for concurrent use.
type stack struct {
	at    map[uint64]int32 // slot of a key
	slots []slot
	sums  []int64 // Fenwick tree over the slots' bytes: sums[i] ends with slot i-1
	first int     // no live slot lies before it
	next  int     // the next touch's slot
	bytes int64   // of all keys
}

type slot struct {
	hash  uint64
	bytes int64 // 0: empty
	epoch uint32
}

// leastSlots of a stack. When it has just been renumbered, half of its slots are free or more.
const leastSlots = 128

func newStack() *stack {
	return &stack{at: make(map[uint64]int32), slots: make([]slot, leastSlots), sums: make([]int64, leastSlots+1)}
}

func (s *stack) len() int { return len(s.at) }

// touch puts a key of so many bytes, at least one, on top, and gives the bytes that lay above it; false where it was
// not there.
func (s *stack) touch(hash uint64, bytes int64, epoch uint32) (above int64, known bool) {
	if s.next == len(s.slots) {
		s.renumber()
	}
	if i, ok := s.at[hash]; ok {
		above, known = s.bytes-s.through(int(i)), true
		s.clear(int(i))
	}
	s.slots[s.next] = slot{hash, bytes, epoch}
	s.at[hash] = int32(s.next)
	s.add(s.next, bytes)
	s.next++
	return above, known
}

// oldest is the key at the bottom; the stack must not be empty.
func (s *stack) oldest() slot {
	for s.slots[s.first].bytes == 0 {
		s.first++
	}
	return s.slots[s.first]
}

func (s *stack) remove(hash uint64) {
	s.clear(int(s.at[hash]))
	delete(s.at, hash)
}

// keepBelow removes the keys whose hash is limit or more.
func (s *stack) keepBelow(limit uint64) {
	for hash, i := range s.at {
		if hash >= limit {
			s.clear(int(i))
			delete(s.at, hash)
		}
	}
}

func (s *stack) clear(i int) {
	s.add(i, -s.slots[i].bytes)
	s.slots[i] = slot{}
}

func (s *stack) add(i int, bytes int64) {
	s.bytes += bytes
	for i++; i < len(s.sums); i += i & -i {
		s.sums[i] += bytes
	}
}

// through sums the slots up to i and with it.
func (s *stack) through(i int) (sum int64) {
	for i++; i > 0; i -= i & -i {
		sum += s.sums[i]
	}
	return sum
}

func (s *stack) renumber() {
	old, n := s.slots, 0
	if live := s.len(); 2*live > len(old) || 8*live < len(old) {
		room := max(leastSlots, 4*live)
		s.slots, s.sums = make([]slot, room), make([]int64, room+1)
	}
	for i := s.first; i < s.next; i++ {
		if x := old[i]; x.bytes != 0 {
			s.slots[n] = x
			s.at[x.hash] = int32(n)
			n++
		}
	}
	clear(s.slots[n:])
	s.first, s.next = 0, n
	for i := range s.slots { // in linear time: each node of the tree hands its sum on to the one above
		s.sums[i+1] = s.slots[i].bytes
	}
	for i := 1; i < len(s.sums); i++ {
		if up := i + i&-i; up < len(s.sums) {
			s.sums[up] += s.sums[i]
		}
	}
}
