package sched

import "math/bits"

// A filter is a blocked Bloom filter (Putze, Sanders & Singler '07): a key's bits lie in one block of 64 bytes, one cache
// line, so a block can be sent by itself. The size class of a key goes into its hash: whoever asks learns the size too,
// to within a factor of eight, by asking for each class.
const (
	blockBytes = 64
	blockWords = blockBytes / 8
	probes     = 6
	// bitsPerKey gives one false positive in 240 questions for one class, and in 38 for a key, which asks for each (measured in
	// TestFilterRate), until the filter has its full size and further keys crowd it: one in 22 with 100,000 keys.
	bitsPerKey = 12
	mostBlocks = 2048 // 128 KiB
	mostKeys   = mostBlocks * blockBytes * 8 / 8
)

type block [blockWords]uint64

// classes of sizes: up to 4 KiB, 32 KiB, 256 KiB, 2 MiB, 16 MiB, and above.
const classes = 6

// classOf gives the class of a size in bytes.
func classOf(size int64) uint8 {
	c := (bits.Len64(uint64(max(size, 1)-1)) - 12 + 2) / 3
	return uint8(min(max(c, 0), classes-1))
}

// classSize is what a key of the class is taken for, in bytes: the geometric middle.
func classSize(c uint8) int64 { return 4096 << (3 * int(c)) * 3 / 8 }

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// place gives the block and the bits of a key.
func place(hash uint64, class uint8, blocks int) (at int, mask block) {
	h := mix(hash + uint64(class)*0x9e3779b97f4a7c15)
	at = int(h & uint64(blocks-1))
	h = mix(h + 0x9e3779b97f4a7c15)
	for range probes {
		mask[h>>6&(blockWords-1)] |= 1 << (h & 63)
		h >>= 9
	}
	return at, mask
}

func (b *block) add(mask block) {
	for i, m := range mask {
		b[i] |= m
	}
}

func (b *block) has(mask block) bool {
	for i, m := range mask {
		if b[i]&m != m {
			return false
		}
	}
	return true
}
