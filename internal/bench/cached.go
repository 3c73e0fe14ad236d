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

// sumWords reads every byte of b, eight at a time, and four of these at once: the adding would otherwise take as long as a
// look-up. What is left over of 32 bytes is not read.
func sumWords(b []byte) uint64 {
	var s0, s1, s2, s3 uint64
	for ; len(b) >= 32; b = b[32:] {
		s0 += binary.LittleEndian.Uint64(b)
		s1 += binary.LittleEndian.Uint64(b[8:])
		s2 += binary.LittleEndian.Uint64(b[16:])
		s3 += binary.LittleEndian.Uint64(b[24:])
	}
	return s0 + s1 + s2 + s3
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
	Cached  []float64 // nanoseconds a read, of chunkReads reads each
	Bare    []float64 // the same from a Go map of copies: what memory itself takes
}

// chunkReads reads are timed together: a look at the clock costs as much as a tenth of a read.
const chunkReads = 64

// readCached reads keys through the node's cache, and every byte of every value; and then the same from a Go map.
func (m *member) readCached(c fn.Context, d draw) (found, error) {
	numbers := d.numbers()
	keys := make([]string, len(numbers))
	for i, k := range numbers {
		keys[i] = cacheKey(k)
	}
	out := found{Reads: len(keys)}
	misses := m.node.Cache.Stats().Misses
	var err error
	var sum uint64
	out.Mallocs = mallocs(func() {
		out.Cached, out.Sum, err = timed(keys, func(key string) ([]byte, error) { return fn.Get[[]byte](c, key) })
	}) / float64(len(keys))
	if err != nil {
		return found{}, err
	}
	out.Hits = len(keys) - int(m.node.Cache.Stats().Misses-misses)
	if len(m.copies) < d.Keys {
		m.copies = make(map[string][]byte, d.Keys)
		for k := range d.Keys {
			m.copies[cacheKey(k)] = cachedValue(k)
		}
	}
	out.Bare, sum, err = timed(keys, func(key string) ([]byte, error) { return m.copies[key], nil })
	return out, check(sum, out.Sum, err)
}

// mallocs counts what this process allocates while f runs.
func mallocs(f func()) float64 {
	var before, after runtime.MemStats
	runtime.GC() // what was prepared is not f's to collect
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs)
}

// timed reads keys, and gives the nanoseconds that a read takes, by chunks, and the sum of all words.
func timed(keys []string, get func(key string) ([]byte, error)) (chunks []float64, sum uint64, err error) {
	chunks = make([]float64, 0, len(keys)/chunkReads+1)
	for len(keys) > 0 {
		n := min(chunkReads, len(keys))
		began := time.Now()
		for _, key := range keys[:n] {
			b, err := get(key)
			if err != nil {
				return nil, 0, err
			}
			sum += sumWords(b)
		}
		chunks = append(chunks, float64(time.Since(began))/float64(n))
		keys = keys[n:]
	}
	return chunks, sum, nil
}
