package sched

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

// KeyHash is a key as digests have it.
func KeyHash(key string) uint64 { return xxhash.Sum64String(key) }

// Large is one of the largest keys that a worker has cached.
type Large struct {
	Hash uint64
	Size int64 // bytes, rounded down to a power of two
}

const (
	mostLarge = 64
	leastSize = 64 << 10 // of a Large
	// refresh is how many blocks are sent again with each update although nothing has changed: an update may have been lost.
	refresh = 8
	// repeatLarge is every how many updates the largest keys are sent again likewise.
	repeatLarge = 8
	headBytes   = 1 + 4 + 1 + 1 + 2
	largeBytes  = 9
	numberBytes = 2
	format      = 1
)

// UpdateBytes is the most that one update of a digest takes in a heartbeat.
const UpdateBytes = 8 << 10

// Digest is what an executor tells of the keys it has cached: the largest exactly, the others in a filter. It is soft state:
// updates carry what has changed, as much as fits, and something of the rest. What is wrong in it costs a cache miss.
//
// With up to 87,000 keys the filter takes 12 bits a key; with more its rate of false positives grows, and past 131,072 keys
// the smallest are left out. The zero Digest is that of an empty cache. Not safe for concurrent use.
type Digest struct {
	epoch   uint32 // of the filter's size
	blocks  []block
	dirty   []bool // by block: to be sent
	large   []Large
	changed bool // of large
	updates int
	cursor  int // of refresh
}

// Keys calls yield for each key with its hash (KeyHash) and size in bytes.
type Keys func(yield func(hash uint64, size int64))

// Content is what a digest is of: the keys that were cached at one time.
type Content struct {
	blocks []block
	large  []Large
}

// Read makes the content from keys, through which it goes twice; before is the digest's size then, Digest.Size.
func Read(keys Keys, before int) Content {
	var count [classes]int
	var top largest
	keys(func(hash uint64, size int64) {
		count[classOf(size)]++
		top.offer(hash, size)
	})
	total, least, room := 0, uint8(0), mostKeys
	for c := classes - 1; c >= 0 && room > 0; c-- {
		n := min(count[c], room)
		total, least, room = total+n, uint8(c), room-n
	}
	size := min(1<<bits.Len(uint(max(total*bitsPerKey/(blockBytes*8), 1)-1)), mostBlocks)
	if size < before && size >= before/4 {
		size = before // to change it means to tell everything anew
	}
	out := Content{blocks: make([]block, size), large: top.list()}
	left := mostKeys
	keys(func(hash uint64, size int64) {
		if c := classOf(size); c >= least && left > 0 {
			at, mask := place(hash, c, len(out.blocks))
			out.blocks[at].add(mask)
			left--
		}
	})
	return out
}

// Size is how many blocks the digest's filter has.
func (d *Digest) Size() int { return len(d.blocks) }

// Set makes the digest one of other content.
func (d *Digest) Set(c Content) {
	if len(c.blocks) != len(d.blocks) {
		d.epoch++
		d.blocks, d.dirty, d.cursor = make([]block, len(c.blocks)), make([]bool, len(c.blocks)), 0
		for i := range d.dirty {
			d.dirty[i] = true
		}
	}
	for i := range c.blocks {
		d.dirty[i] = d.dirty[i] || c.blocks[i] != d.blocks[i]
	}
	d.blocks = c.blocks
	d.changed = d.changed || !slices.Equal(c.large, d.large)
	d.large = c.large
}

// Rebuild is Set of what Read gives.
func (d *Digest) Rebuild(keys Keys) { d.Set(Read(keys, d.Size())) }

// Restart has everything be sent anew, within the bytes of each update: somebody new is listening.
func (d *Digest) Restart() {
	for i := range d.dirty {
		d.dirty[i] = true
	}
	d.changed = true
}

// Update gives what to tell next, at most most bytes, or nil where nothing was ever cached. It counts as told.
func (d *Digest) Update(most int) []byte {
	if len(d.blocks) == 0 || most < headBytes+blockBytes+numberBytes {
		return nil
	}
	out := make([]byte, headBytes, min(most, UpdateBytes))
	out[0], out[5], out[6] = format, byte(bits.Len(uint(len(d.blocks)))-1), 255 // 255: nothing of the largest
	binary.LittleEndian.PutUint32(out[1:], d.epoch)
	if n := len(d.large); (d.changed || d.updates%repeatLarge == 0) && most-len(out) >= n*largeBytes {
		out[6] = byte(n)
		for _, l := range d.large {
			out = binary.LittleEndian.AppendUint64(out, l.Hash)
			out = append(out, byte(bits.Len64(uint64(l.Size))-1))
		}
		d.changed = false
	}
	d.updates++
	count := 0
	send := func(i int) bool {
		if len(out)+numberBytes+blockBytes > most {
			return false
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(i))
		for _, w := range d.blocks[i] {
			out = binary.LittleEndian.AppendUint64(out, w)
		}
		d.dirty[i] = false
		count++
		return true
	}
	for range min(refresh, len(d.blocks)) {
		d.cursor = (d.cursor + 1) % len(d.blocks)
		if !send(d.cursor) {
			break
		}
	}
	for i, dirty := range d.dirty {
		if dirty && !send(i) {
			break
		}
	}
	binary.LittleEndian.PutUint16(out[7:], uint16(count))
	return out
}

// Holdings is what a scheduler knows of a worker's cache, from the updates of its Digest. The zero Holdings is of a worker
// that has said nothing.
type Holdings struct {
	epoch  uint32
	blocks []block
	large  map[uint64]int64
}

// Apply takes in an update, all of it or, where it is malformed, nothing. gone and come are the largest keys that are there
// no more, and those that are new.
func (h *Holdings) Apply(update []byte) (gone, come []Large, err error) {
	bad := func(what string) ([]Large, []Large, error) {
		return nil, nil, fault.New(fault.InvalidArgument, "digest of cached keys: %s", what)
	}
	switch {
	case len(update) < headBytes:
		return bad("it is cut off")
	case update[0] != format:
		return nil, nil, fault.New(fault.Unsupported, "digest of cached keys: format %d, this node reads %d", update[0], format)
	case update[5] > 11 || update[6] > mostLarge && update[6] != 255:
		return bad("it is larger than any")
	}
	epoch, size := binary.LittleEndian.Uint32(update[1:]), 1<<update[5]
	count := int(binary.LittleEndian.Uint16(update[7:]))
	larges := int(update[6])
	if update[6] == 255 {
		larges = 0
	}
	rest := update[headBytes:]
	if len(rest) != larges*largeBytes+count*(numberBytes+blockBytes) {
		return bad("its parts do not add up to it")
	}
	changes := rest[larges*largeBytes:]
	for b := changes; len(b) > 0; b = b[numberBytes+blockBytes:] {
		if int(binary.LittleEndian.Uint16(b)) >= size {
			return bad("it has a block outside the filter")
		}
	}
	if epoch != h.epoch || size != len(h.blocks) {
		h.epoch, h.blocks = epoch, make([]block, size)
	}
	for b := changes; len(b) > 0; b = b[numberBytes+blockBytes:] {
		to := &h.blocks[binary.LittleEndian.Uint16(b)]
		for i := range to {
			to[i] = binary.LittleEndian.Uint64(b[numberBytes+8*i:])
		}
	}
	if update[6] != 255 {
		gone, come = h.enlarge(rest[:larges*largeBytes])
	}
	return gone, come, nil
}

func (h *Holdings) enlarge(b []byte) (gone, come []Large) {
	next := make(map[uint64]int64, len(b)/largeBytes)
	for ; len(b) > 0; b = b[largeBytes:] {
		l := Large{binary.LittleEndian.Uint64(b), 1 << (b[8] & 63 % 63)}
		next[l.Hash] = l.Size
		if h.large[l.Hash] != l.Size {
			come = append(come, l)
		}
	}
	for hash, size := range h.large {
		if next[hash] != size {
			gone = append(gone, Large{hash, size})
		}
	}
	h.large = next
	return gone, come
}

// Size tells how many bytes the key has that the worker has cached, roughly; 0 where it has none, as far as is known.
func (h *Holdings) Size(hash uint64) int64 {
	if size := h.large[hash]; size > 0 {
		return size
	}
	if len(h.blocks) == 0 {
		return 0
	}
	for c := classes - 1; c >= 0; c-- {
		if at, mask := place(hash, uint8(c), len(h.blocks)); h.blocks[at].has(mask) {
			return classSize(uint8(c))
		}
	}
	return 0
}

// largest keeps the largest keys it was offered: a heap, the smallest on top.
type largest []Large

func (l *largest) offer(hash uint64, size int64) {
	switch {
	case size < leastSize:
	case len(*l) < mostLarge:
		heap.Push(l, Large{hash, size})
	case size > (*l)[0].Size:
		(*l)[0] = Large{hash, size}
		heap.Fix(l, 0)
	}
}

// list gives them by hash, sizes rounded: the same keys give the same list.
func (l *largest) list() []Large {
	out := slices.Clone(*l)
	for i := range out {
		out[i].Size = 1 << (bits.Len64(uint64(out[i].Size)) - 1)
	}
	slices.SortFunc(out, func(a, b Large) int { return cmp.Compare(a.Hash, b.Hash) })
	return out
}

func (l *largest) Len() int           { return len(*l) }
func (l *largest) Less(i, j int) bool { return (*l)[i].Size < (*l)[j].Size }
func (l *largest) Swap(i, j int)      { (*l)[i], (*l)[j] = (*l)[j], (*l)[i] }
func (l *largest) Push(x any)         { *l = append(*l, x.(Large)) }
func (l *largest) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}
