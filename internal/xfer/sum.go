package xfer

import (
	"encoding/binary"
	"runtime"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// Chunk is how many bytes of a value each of its Sums is of. Ranges of a value that is checked as a whole are made of
// chunks, so that nobody has to run over it twice: the server knows their sums, and the client's sums, which it needs
// anyway, give that of the whole.
const Chunk = 1 << 20

// Sums are the checksums of a value's chunks, in order: xxhash64 with seed 0.
type Sums []uint64

const (
	sumAlone = 8 << 20 // bytes that one goroutine sums
	maxSums  = 4       // goroutines that sum one value
)

// Sum computes them, of a large value on several cores: memory gives one core less than all.
func Sum(data []byte) Sums {
	s := make(Sums, (len(data)+Chunk-1)/Chunk)
	workers := min(maxSums, runtime.GOMAXPROCS(0), len(data)/sumAlone+1)
	part := func(from int) {
		for i := from; i < len(s); i += workers {
			s[i] = xxhash.Sum64(data[i*Chunk : min((i+1)*Chunk, len(data))])
		}
	}
	if workers == 1 {
		part(0)
		return s
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { part(w) })
	}
	all.Wait()
	return s
}

// Whole is the checksum of a value of size bytes that has the chunks' sums s: xxhash64 of the size and the sums.
func (s Sums) Whole(size int64) uint64 {
	b := make([]byte, 0, 8*(1+len(s)))
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	for _, x := range s {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return xxhash.Sum64(b)
}

// Summed is a Blob whose sums are known: the server does not run over it again for ranges that are whole chunks.
type Summed interface {
	Blob
	// Sums of the whole value.
	Sums() Sums
}

// chunkSums are the sums of the chunks that view is, which begins at offset.
func chunkSums(blob Blob, offset int64, view []byte) Sums {
	s, ok := blob.(Summed)
	end := offset + int64(len(view))
	if !ok || end%Chunk != 0 && end != blob.Size() {
		return Sum(view)
	}
	first := offset / Chunk
	return s.Sums()[first : first+(int64(len(view))+Chunk-1)/Chunk]
}

const mostChunks = 8 // of one range

// chunkRange is how long the ranges of a value are that is fetched in chunks: long, so that a stream waits seldom for its
// next range to begin, and short enough for each peer to have some.
func chunkRange(size int64, peers int) int64 {
	chunks := size / int64(8*peers) / Chunk
	return min(max(chunks, 1), mostChunks) * Chunk
}
