package sched

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

// cached is keys with their sizes.
type cached map[string]int64

func (c cached) keys(yield func(uint64, int64)) {
	for k, size := range c {
		yield(KeyHash(k), size)
	}
}

// transfer sends updates until everything has been told.
func transfer(t testing.TB, d *Digest, h *Holdings, most int) (updates, bytes int) {
	t.Helper()
	for {
		b := d.Update(most)
		if len(b) > most {
			t.Fatalf("an update of %d bytes, at most %d", len(b), most)
		}
		if b == nil {
			return updates, bytes
		}
		if _, _, err := h.Apply(b); err != nil {
			t.Fatal(err)
		}
		updates, bytes = updates+1, bytes+len(b)
		done := !d.changed
		for _, dirty := range d.dirty {
			done = done && !dirty
		}
		if done {
			return updates, bytes
		}
	}
}

func TestClasses(t *testing.T) {
	for size, want := range map[int64]uint8{0: 0, 1: 0, 4096: 0, 4097: 1, 32 << 10: 1, 32<<10 + 1: 2, 256 << 10: 2, 2 << 20: 3, 16 << 20: 4, 16<<20 + 1: 5, 1 << 40: 5} {
		if got := classOf(size); got != want {
			t.Errorf("%d bytes are of class %d, want %d", size, got, want)
		}
	}
	for c := range uint8(classes) {
		if got := classOf(classSize(c)); got != c {
			t.Errorf("class %d is taken for %d bytes, of class %d", c, classSize(c), got)
		}
	}
}

// TestDigest tells of what is cached, with its size, and after a change of what is cached then.
func TestDigest(t *testing.T) {
	for _, n := range []int{1, 10, 1000, 50_000} {
		keys := cached{}
		for i := range n {
			keys[fmt.Sprintf("key-%d", i)] = int64(1) << (8 + i%20)
		}
		var d Digest
		var h Holdings
		d.Rebuild(keys.keys)
		updates, bytes := transfer(t, &d, &h, UpdateBytes)
		if n == 50_000 {
			t.Logf("%d keys: %d bytes in %d updates", n, bytes, updates)
		}
		check := func() {
			for k, size := range keys {
				if got := h.Size(KeyHash(k)); got < size/8 || got > size*8 && got > 4096 && classOf(got) == classOf(size) {
					t.Fatalf("%d keys: %s has %d bytes, told as %d", n, k, size, got)
				}
			}
		}
		check()
		for i := range n / 2 {
			delete(keys, fmt.Sprintf("key-%d", i))
			keys[fmt.Sprintf("new-%d", i)] = 100_000
		}
		d.Rebuild(keys.keys)
		transfer(t, &d, &h, UpdateBytes)
		check()
		wrong := 0
		for i := range n / 2 {
			if h.Size(KeyHash(fmt.Sprintf("key-%d", i))) > 0 {
				wrong++
			}
		}
		if n >= 1000 && wrong > n/2/8 {
			t.Errorf("%d of %d keys that are gone are told of still", wrong, n/2)
		}
	}
}

// TestFilterRate measures how often a key that is not cached is taken for one that is: in one question for one class, and in
// one for the key, which asks for all.
func TestFilterRate(t *testing.T) {
	for _, tc := range []struct {
		keys int
		most float64 // for a key
	}{{1000, 0.08}, {30_000, 0.08}, {87_000, 0.08}, {100_000, 0.12}, {131_072, 0.25}} {
		rng := rand.New(rand.NewPCG(1, uint64(tc.keys)))
		var d Digest
		var h Holdings
		d.Rebuild(func(yield func(uint64, int64)) {
			rng := rand.New(rand.NewPCG(2, 2))
			for range tc.keys {
				yield(rng.Uint64(), 1000)
			}
		})
		transfer(t, &d, &h, UpdateBytes)
		const asked = 50_000
		key, class := 0, 0
		for range asked {
			hash := rng.Uint64()
			if h.Size(hash) > 0 {
				key++
			}
			if at, mask := place(hash, 0, len(h.blocks)); h.blocks[at].has(mask) {
				class++
			}
		}
		t.Logf("%d keys, %d KiB: %.2f %% of other keys in one class, %.1f %% in any", tc.keys, len(h.blocks)*blockBytes/1024, 100*float64(class)/asked, 100*float64(key)/asked)
		if rate := float64(key) / asked; rate > tc.most {
			t.Errorf("%d keys: %.3f of other keys are taken for cached", tc.keys, rate)
		}
	}
}

// TestDigestLosses loses two of three updates: what has changed comes through in time all the same.
func TestDigestLosses(t *testing.T) {
	keys := cached{}
	for i := range 5000 {
		keys[fmt.Sprint("key-", i)] = 100_000
	}
	var d Digest
	var h Holdings
	d.Rebuild(keys.keys)
	rng := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		if b := d.Update(UpdateBytes); rng.IntN(3) == 0 {
			if _, _, err := h.Apply(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	for k := range keys {
		if h.Size(KeyHash(k)) == 0 {
			t.Fatalf("%s is not told of", k)
		}
	}
	var late Holdings // of somebody who has come later
	d.Restart()
	if updates, _ := transfer(t, &d, &late, UpdateBytes); updates > 10 {
		t.Errorf("it takes %d updates to tell a newcomer", updates)
	}
	for k := range keys {
		if late.Size(KeyHash(k)) == 0 {
			t.Fatalf("the newcomer is not told of %s", k)
		}
	}
}

// TestDigestLargest tells of the largest keys exactly, and of which are gone and have come.
func TestDigestLargest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var d Digest
		var h Holdings
		known := map[uint64]int64{}
		for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			keys := cached{}
			for range rapid.IntRange(0, 150).Draw(rt, "keys") {
				keys[fmt.Sprint(rapid.IntRange(0, 200).Draw(rt, "key"))] = rapid.Int64Range(1, 1<<30).Draw(rt, "size")
			}
			d.Rebuild(keys.keys)
			for range repeatLarge {
				gone, come, err := h.Apply(d.Update(UpdateBytes))
				if err != nil {
					rt.Fatal(err)
				}
				for _, l := range gone {
					if known[l.Hash] != l.Size {
						rt.Fatalf("%v is gone, and was %d", l, known[l.Hash])
					}
					delete(known, l.Hash)
				}
				for _, l := range come {
					known[l.Hash] = l.Size
				}
			}
			least := int64(1 << 62)
			for k, size := range keys {
				if got := known[KeyHash(k)]; got > 0 {
					if got > size || got*2 <= size {
						rt.Fatalf("%s has %d bytes, told as %d", k, size, got)
					}
					least = min(least, size)
				}
			}
			if len(known) > mostLarge {
				rt.Fatalf("%d of the largest", len(known))
			}
			for k, size := range keys {
				if size > least && known[KeyHash(k)] == 0 {
					rt.Fatalf("%s of %d bytes is left out, and one of %d is not", k, size, least)
				}
			}
		}
	})
}

func TestDigestRefuses(t *testing.T) {
	whole := keysOf(100_000, "a", "b", "c")
	for cut := range whole {
		if _, _, err := new(Holdings).Apply(whole[:cut]); !fault.Is(err, fault.InvalidArgument) {
			t.Fatalf("%d of %d bytes: %v", cut, len(whole), err)
		}
	}
	later := append([]byte{format + 1}, whole[1:]...)
	if _, _, err := new(Holdings).Apply(later); !fault.Is(err, fault.Unsupported) {
		t.Error(err)
	}
}

func FuzzHoldings(f *testing.F) {
	f.Add(keysOf(100_000, "a", "b"))
	f.Add(keysOf(10))
	f.Add([]byte{format, 0, 0, 0, 0, 11, 255, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Holdings
		if _, _, err := h.Apply(b); err != nil {
			if len(h.blocks) > 0 || len(h.large) > 0 {
				t.Error("a malformed update has left something behind")
			}
			return
		}
		h.Size(KeyHash("a"))
	})
}

func BenchmarkRebuild100k(b *testing.B) {
	rng := rand.New(rand.NewPCG(2, 2))
	hashes := make([]uint64, 100_000)
	for i := range hashes {
		hashes[i] = rng.Uint64()
	}
	var d Digest
	for b.Loop() {
		d.Rebuild(func(yield func(uint64, int64)) {
			for _, h := range hashes {
				yield(h, int64(h&0xffff))
			}
		})
	}
}
