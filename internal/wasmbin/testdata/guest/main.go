// Command guest is a Go reactor for the tests and benchmarks of wasmbin: each export works through one part of the
// language and gives a checksum of what it found.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
)

func main() {}

// random is a small generator, so that every run of a seed does the same.
type random uint64

func (r *random) next() uint64 {
	*r ^= *r << 13
	*r ^= *r >> 7
	*r ^= *r << 17
	return uint64(*r)
}

func numbers(seed uint64, n int) []uint64 {
	r := random(seed | 1)
	out := make([]uint64, n)
	for i := range out {
		out[i] = r.next()
	}
	return out
}

func checksum(xs []uint64) uint64 {
	h := fnv.New64a()
	var b [8]byte
	for _, x := range xs {
		binary.LittleEndian.PutUint64(b[:], x)
		h.Write(b[:])
	}
	return h.Sum64()
}

//go:wasmexport sorting
func sorting(seed, n uint64) uint64 {
	xs := numbers(seed, int(n))
	slices.Sort(xs)
	ys := numbers(seed, int(n))
	sort.SliceStable(ys, func(i, j int) bool { return ys[i]%64 < ys[j]%64 })
	return checksum(xs) ^ checksum(ys)
}

//go:wasmexport maps
func maps(seed, n uint64) uint64 {
	m := map[string]uint64{}
	for i, x := range numbers(seed, int(n)) {
		k := strconv.FormatUint(x%(n/2+1), 36)
		if i%5 == 4 {
			delete(m, k)
		} else {
			m[k] += x
		}
	}
	sum := uint64(len(m))
	for k, v := range m { // any order: the sum does not depend on it
		sum += v * uint64(len(k))
	}
	return sum
}

//go:wasmexport goroutines
func goroutines(seed, n uint64) uint64 {
	in, out := make(chan uint64), make(chan uint64, 3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for x := range in {
				out <- x * x
				runtime.Gosched()
			}
		})
	}
	go func() {
		for _, x := range numbers(seed, int(n)) {
			in <- x
		}
		close(in)
		wg.Wait()
		close(out)
	}()
	sum := uint64(0)
	for x := range out {
		sum += x
	}
	return sum
}

var errOdd = errors.New("odd")

//go:wasmexport panics
func panics(seed, n uint64) uint64 {
	sum := uint64(0)
	one := func(x uint64) (err error) {
		defer func() {
			if r := recover(); r != nil {
				sum += x
				if e, ok := r.(runtime.Error); ok {
					err = e
				}
			}
		}()
		var none []int
		var nothing *random
		switch x % 5 {
		case 0:
			panic("seed")
		case 1:
			return errOdd
		case 2:
			return errors.New(strconv.Itoa(none[int(x%7)]))
		case 3:
			*nothing = 3
		}
		return nil
	}
	for _, x := range numbers(seed, int(n)) {
		if err := one(x); err != nil {
			sum = sum*31 + uint64(len(err.Error()))
		}
	}
	return sum
}

type shape interface{ area() float64 }
type square float64
type circle struct{ r float64 }

func (s square) area() float64  { return float64(s * s) }
func (c *circle) area() float64 { return math.Pi * c.r * c.r }

//go:wasmexport closures
func closures(seed, n uint64) uint64 {
	var shapes []shape
	for _, x := range numbers(seed, int(n)) {
		if x%2 == 0 {
			shapes = append(shapes, square(x%1000))
		} else {
			shapes = append(shapes, &circle{float64(x % 1000)})
		}
	}
	total := 0.0
	each := func(f func(shape)) {
		for _, s := range shapes {
			f(s)
		}
	}
	each(func(s shape) { total += math.Sqrt(s.area()) })
	var b strings.Builder
	each(func(s shape) {
		switch s := s.(type) {
		case square:
			b.WriteString(strconv.FormatFloat(float64(s), 'g', -1, 64))
		case *circle:
			b.WriteByte('o')
		}
	})
	return math.Float64bits(total) ^ checksum([]uint64{uint64(b.Len())})
}

//go:wasmexport floats
func floats(seed, n uint64) uint64 {
	r := random(seed | 1)
	x := 0.5
	sum := uint64(0)
	for range n {
		x = math.Sin(x*float64(r.next()%97)) + math.Exp(-x*x)/3
		f := float32(x)
		sum = sum*3 + uint64(math.Float32bits(f)) + math.Float64bits(math.FMA(x, x, 1)) + uint64(int64(x*1e9))
	}
	return sum
}

//go:wasmexport recursion
func recursion(seed, n uint64) uint64 {
	if n < 2 {
		return seed
	}
	return recursion(seed+1, n-1) + recursion(seed^n, n-2)
}

//go:wasmexport collector
func collector(seed, n uint64) uint64 {
	var keep [64][]byte
	r := random(seed | 1)
	for range n {
		x := r.next()
		b := make([]byte, x%4096)
		for i := range b {
			b[i] = byte(x)
		}
		copy(b, keep[x%64])
		keep[x%64] = b
	}
	runtime.GC()
	sum := uint64(0)
	for _, b := range keep {
		for _, c := range b {
			sum = sum*7 + uint64(c)
		}
	}
	return sum
}

//go:wasmexport hash
func hash(seed, n uint64) uint64 {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seed + uint64(i))
	}
	s := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(s[:])
}

//go:wasmexport matrix
func matrix(seed, n uint64) uint64 {
	size := int(n)
	a, b, c := make([]float64, size*size), make([]float64, size*size), make([]float64, size*size)
	r := random(seed | 1)
	for i := range a {
		a[i], b[i] = float64(r.next()%100), float64(r.next()%100)
	}
	for i := range size {
		for k := range size {
			x := a[i*size+k]
			for j := range size {
				c[i*size+j] += x * b[k*size+j]
			}
		}
	}
	sum := 0.0
	for _, x := range c {
		sum += x
	}
	return math.Float64bits(sum)
}

//go:wasmexport loop
func loop(seed, n uint64) uint64 {
	x := seed
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

//go:wasmexport spin
func spin() {
	for {
	}
}
