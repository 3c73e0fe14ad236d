package cache

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// words reads every byte of a value, as a function would that is in a hurry.
func words(b []byte) uint64 {
	var s0, s1, s2, s3 uint64
	for ; len(b) >= 32; b = b[32:] {
		s0 += binary.LittleEndian.Uint64(b)
		s1 += binary.LittleEndian.Uint64(b[8:])
		s2 += binary.LittleEndian.Uint64(b[16:])
		s3 += binary.LittleEndian.Uint64(b[24:])
	}
	return s0 + s1 + s2 + s3
}

// BenchmarkHitOverMap is BenchmarkHit beside what memory itself takes, round by round, and gives the lower quartile
// of each: on a machine that does something else too the ratios mean more than the times.
//
//	slice     the values of a slice of slices, whose numbers are known: their cache lines alone
//	map       a Go map and a mutex
//	lww       Session.Get at lww, and the value as bytes
func BenchmarkHitOverMap(b *testing.B) {
	const reads, chunk = 1 << 17, 256
	c := start(b, endless(1024), 512<<20)
	names, order := make([]string, benchKeys), make([]int32, reads)
	slice, plain := make([][]byte, benchKeys), make(map[string][]byte, benchKeys)
	for k := range names {
		names[k] = fmt.Sprintf("bench/cached/%d", k)
		slice[k] = bytes.Repeat([]byte{byte(k)}, 1024) // zeroes would all be one page of the kernel's
		plain[strings.Clone(names[k])] = bytes.Clone(slice[k])
	}
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, benchKeys-1)
	scattered := rand.New(rand.NewPCG(3, 4)).Perm(benchKeys)
	for i := range order {
		order[i] = int32(scattered[z.Uint64()])
	}
	for range 3 {
		for i, name := range names {
			if _, err := c.Get(b.Context(), kvs.Key(name)); err != nil {
				b.Fatal(err)
			}
			if i%1000 == 0 {
				c.decided()
			}
		}
	}
	s, err := c.Begin(SessionConfig{Level: kvs.LWW})
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	ways := []struct {
		name string
		get  func(k int32) []byte
	}{
		{"slice", func(k int32) []byte { return slice[k] }},
		{"map", func(k int32) []byte {
			mu.Lock()
			v := plain[names[k]]
			mu.Unlock()
			return v
		}},
		{"lww", func(k int32) []byte {
			v, err := s.Get(context.Background(), kvs.Key(names[k]))
			if err != nil {
				b.Fatal(err)
			}
			p, err := value.As[[]byte](v)
			if err != nil {
				b.Fatal(err)
			}
			return p
		}},
	}
	took := make([][]float64, len(ways))
	before, n := c.Stats(), 0
	var total uint64
	for b.Loop() {
		for i, way := range ways {
			for at := 0; at < reads; at += chunk {
				began := time.Now()
				for _, k := range order[at : at+chunk] {
					total += words(way.get(k))
				}
				took[i] = append(took[i], float64(time.Since(began))/chunk)
			}
		}
		n += reads
	}
	sum += int(total)
	b.ReportMetric(0, "ns/op")
	for i, way := range ways {
		slices.Sort(took[i])
		b.ReportMetric(took[i][len(took[i])/4], way.name+"-ns")
	}
	b.ReportMetric(took[2][len(took[2])/4]/took[1][len(took[1])/4], "lww/map")
	b.ReportMetric(float64(c.Stats().Misses-before.Misses)/float64(n), "misses/read")
}
