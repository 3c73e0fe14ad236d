package lend

import (
	"github.com/squall-faas/squall/fault"
)

// blockBytes is what memory is handed out in: a multiple of every common page, and little beside a shard.
const blockBytes = 16 << 10

// arena is memory outside of the collector's heap: there, it would count twice (the heap may grow to double what is live),
// and could not be given back at once. It never has more than its limit in use or kept for use. Not safe for concurrent use.
type arena struct {
	mem   []byte
	limit int     // blocks that may be resident
	used  int     // blocks handed out
	warm  []int32 // free, and resident: handed out last in, first out
	cold  []int32 // free, and given back to the system
}

func newArena(bytes int64) (*arena, error) {
	if bytes < blockBytes {
		return nil, fault.New(fault.InvalidArgument, "%d bytes of memory to lend: give at least %d", bytes, blockBytes)
	}
	n := int(bytes / blockBytes)
	mem, err := reserve(int64(n) * blockBytes)
	if err != nil {
		return nil, err
	}
	a := &arena{mem: mem, limit: n, cold: make([]int32, n)}
	for i := range a.cold {
		a.cold[i] = int32(n - 1 - i) // the lowest address is handed out first
	}
	return a, nil
}

func blocksOf(bytes int) int { return (bytes + blockBytes - 1) / blockBytes }

// free is how many blocks can be handed out.
func (a *arena) free() int { return max(a.limit-a.used, 0) }

// take hands out n blocks; nil where fewer are free.
func (a *arena) take(n int) []int32 {
	if n > a.free() {
		return nil
	}
	out := make([]int32, 0, n)
	for _, from := range []*[]int32{&a.warm, &a.cold} {
		for len(out) < n && len(*from) > 0 {
			last := len(*from) - 1
			out = append(out, (*from)[last])
			*from = (*from)[:last]
		}
	}
	a.used += n
	return out
}

// put takes blocks back. They stay resident for the next taker, as far as the limit allows.
func (a *arena) put(blocks []int32) {
	a.used -= len(blocks)
	for i := len(blocks) - 1; i >= 0; i-- { // so that they are handed out in this order again: neighbours stay so
		a.warm = append(a.warm, blocks[i])
	}
	a.trim()
}

// setLimit changes how much may be resident; what is handed out beyond it is the caller's to free.
func (a *arena) setLimit(blocks int) {
	a.limit = min(max(blocks, 0), len(a.mem)/blockBytes)
	a.trim()
}

// trim gives back what is resident beyond the limit and not in use.
func (a *arena) trim() {
	for len(a.warm) > 0 && a.used+len(a.warm) > a.limit {
		last := len(a.warm) - 1
		i := a.warm[last]
		a.warm = a.warm[:last]
		giveBack(a.block(i))
		a.cold = append(a.cold, i)
	}
}

// resident is how many bytes may take memory now.
func (a *arena) resident() int64 { return int64(a.used+len(a.warm)) * blockBytes }

func (a *arena) block(i int32) []byte {
	at := int64(i) * blockBytes
	return a.mem[at : at+blockBytes : at+blockBytes]
}

// views gives size bytes of blocks as few slices: neighbours are one.
func (a *arena) views(blocks []int32, size int) [][]byte {
	var out [][]byte
	for i := 0; i < len(blocks) && size > 0; {
		j := i + 1
		for j < len(blocks) && blocks[j] == blocks[j-1]+1 {
			j++
		}
		at := int64(blocks[i]) * blockBytes
		n := min((j-i)*blockBytes, size)
		out = append(out, a.mem[at:at+int64(n):at+int64(n)])
		size -= n
		i = j
	}
	return out
}

func (a *arena) close() error {
	mem := a.mem
	a.mem = nil
	if mem == nil {
		return nil
	}
	return unreserve(mem)
}
