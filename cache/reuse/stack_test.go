package reuse

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestStack compares the stack with a list, the top last.
func TestStack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const keys = 6
		s := newStack()
		type pair struct {
			hash  uint64
			bytes int64
		}
		var list []pair
		for range rapid.IntRange(0, 600).Draw(t, "steps") {
			hash := rapid.Uint64Range(0, keys-1).Draw(t, "key")
			at := slices.IndexFunc(list, func(p pair) bool { return p.hash == hash })
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				if at >= 0 {
					s.remove(hash)
					list = slices.Delete(list, at, at+1)
				}
			case 1:
				limit := rapid.Uint64Range(0, keys).Draw(t, "limit")
				s.keepBelow(limit)
				list = slices.DeleteFunc(list, func(p pair) bool { return p.hash >= limit })
			default:
				bytes := rapid.Int64Range(1, 100).Draw(t, "bytes")
				above, known := s.touch(hash, bytes, 0)
				want := int64(0)
				if known != (at >= 0) {
					t.Fatalf("key %d known: %t", hash, known)
				}
				if known {
					for _, p := range list[at+1:] {
						want += p.bytes
					}
					list = slices.Delete(list, at, at+1)
				}
				if above != want {
					t.Fatalf("%d bytes above key %d, want %d", above, hash, want)
				}
				list = append(list, pair{hash, bytes})
			}
			sum := int64(0)
			for _, p := range list {
				sum += p.bytes
			}
			if s.bytes != sum || s.len() != len(list) {
				t.Fatalf("%d keys of %d bytes, want %d of %d", s.len(), s.bytes, len(list), sum)
			}
			if len(list) > 0 && s.oldest().hash != list[0].hash {
				t.Fatalf("oldest is %d, want %d", s.oldest().hash, list[0].hash)
			}
		}
	})
}

// TestStackGrowsAndShrinks with what it holds, and stays right over many renumberings.
func TestStackGrowsAndShrinks(t *testing.T) {
	s := newStack()
	for _, keys := range []int{10, 4000, 20, 300} {
		s.keepBelow(uint64(keys))
		for i := range 40_000 {
			above, known := s.touch(uint64(i%keys), int64(i%keys)+1, 0)
			if want := int64(keys)*int64(keys+1)/2 - int64(i%keys) - 1; i >= keys && (!known || above != want) {
				t.Fatalf("%d keys: %d bytes above key %d, want %d", keys, above, i%keys, want)
			}
		}
		if n := len(s.slots); s.len() != keys || n < 2*keys || n > max(leastSlots, 8*keys) {
			t.Fatalf("%d slots for %d of %d keys", n, s.len(), keys)
		}
	}
}

func TestBuckets(t *testing.T) {
	for i := range histogramBuckets {
		low, high := bounds(i)
		if got := bucket(uint64(low)); got != i {
			t.Fatalf("%d falls into bucket %d, not %d", low, got, i)
		}
		if got := bucket(uint64(high - 1)); got != i {
			t.Fatalf("%d falls into bucket %d, not %d", high-1, got, i)
		}
		if low >= 2*fine && float64(high-low) > float64(low)/fine {
			t.Fatalf("bucket %d from %d to %d is too wide", i, low, high)
		}
	}
	if _, high := bounds(histogramBuckets - 1); high != maxDistance+1 {
		t.Fatalf("buckets end at %d", high)
	}
}
