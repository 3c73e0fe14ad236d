package bench

import (
	"encoding/binary"
	"runtime"
	"strconv"
	"time"

	"github.com/squall-faas/squall/fn"
)

// cachedBytes is the length of each cached value.
const cachedBytes = 1 << 10

func cacheKey(k int) string { return "bench/cached/" + strconv.Itoa(k) }

// cachedValue is what lies under cacheKey(k).
func cachedValue(k int) []byte {
	b := make([]byte, cachedBytes)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], uint64(k)*0x9e3779b97f4a7c15+uint64(i))
	}
	return b
}

// sumWords reads every byte of b, eight at a time.
func sumWords(b []byte) uint64 {
	var sum uint64
	for ; len(b) >= 8; b = b[8:] {
		sum += binary.LittleEndian.Uint64(b)
	}
	return sum
}

// draw asks readCached for reads.
type draw struct {
	Keys  int    // how many there are
	Seed  uint64 // of the order in which they are read
	Reads int    // 0 reads each key once
}

// numbers are the keys in the order in which they are read.
func (d draw) numbers() []int {
	if d.Reads > 0 {
		return newZipf(d.Keys).draw(d.Seed, d.Reads)
	}
	all := make([]int, d.Keys)
	for i := range all {
		all[i] = i
	}
	return all
}

// found is what readCached has found.
type found struct {
	Sum     uint64 // of all words read
	Reads   int
	Hits    int       // reads answered from the cache's memory
	Mallocs float64   // a read
	Chunks  []float64 // nanoseconds a read, of chunkReads reads each
}

// chunkReads reads are timed together: a look at the clock costs as much as a tenth of a read.
const chunkReads = 64

// readCached reads keys through the node's cache, and every byte of every value.
func (m *member) readCached(c fn.Context, d draw) (found, error) {
	numbers := d.numbers()
	keys := make([]string, len(numbers))
	for i, k := range numbers {
		keys[i] = cacheKey(k)
	}
	out := found{Reads: len(keys), Chunks: make([]float64, 0, len(keys)/chunkReads)}
	hits := m.node.Cache.Stats().Hits
	var before, after runtime.MemStats
	runtime.GC() // the memory that preparing took is not the reads' to collect
	runtime.ReadMemStats(&before)
	for rest := keys; len(rest) > 0; {
		n := min(chunkReads, len(rest))
		began := time.Now()
		for _, key := range rest[:n] {
			b, err := fn.Get[[]byte](c, key)
			if err != nil {
				return found{}, err
			}
			out.Sum += sumWords(b)
		}
		out.Chunks = append(out.Chunks, float64(time.Since(began))/float64(n))
		rest = rest[n:]
	}
	runtime.ReadMemStats(&after)
	out.Hits = int(m.node.Cache.Stats().Hits - hits)
	out.Mallocs = float64(after.Mallocs-before.Mallocs) / float64(len(keys))
	return out, nil
}
