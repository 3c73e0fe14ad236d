package kvstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func oddKeys() []kvs.Key {
	var keys []kvs.Key
	for b := range 256 {
		keys = append(keys, kvs.Key([]byte{byte(b)}))
	}
	keys = append(keys,
		"a b", " ", "  ", " leading", "trailing ", "nul\x00inside", "a.b", ".a", "a.", "a..b", "..", "*", ">", "a.*", "a.>", "$JS.API.>",
		"{tag}one", "{tag}two", "{}", "{", "}{", "{a", "~", "~x", "%", "%41", "%%", "A", "a\r\nb", "\t", "../../etc/passwd", "%2e%2e/",
		"naïve", "naïve", "日本語", "🌩️ squall", "\xff\xfe invalid utf-8", "a/b/c", "a=b&c=d", `back\slash`, `"quoted"`, "key.d", "key.t", "key",
		kvs.Key(strings.Repeat("x", 511)), kvs.Key(strings.Repeat("x", 512)), kvs.Key(strings.Repeat("x", 513)),
		kvs.Key(strings.Repeat("k", kvs.MaxKey)), kvs.Key(strings.Repeat("k", kvs.MaxKey-1)+"K"), kvs.Key(strings.Repeat("\x00", kvs.MaxKey)),
		kvs.Key(strings.Repeat("日", kvs.MaxKey/3)), kvs.Key(strings.Repeat(".", kvs.MaxKey)))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// testKeys writes them all before it reads any, so that two that fall together show.
func testKeys(t *testing.T, s kvs.Store) {
	keys := oddKeys()
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				if _, err := s.Put(within(t), keys[i], value.MustOf(i), kvs.PutOptions{}); err != nil {
					t.Errorf("put %.40q: %v", keys[i], err)
				}
			}
		})
	}
	for i := range keys {
		work <- i
	}
	close(work)
	wg.Wait()
	for i, key := range keys {
		holds(t, get(t, s, key).Value, i)
	}
	all := listAll(t, s, "", 50, nil)
	for _, key := range keys {
		if !all[key] {
			t.Errorf("key %.40q is not listed", key)
		}
	}
	if len(all) != len(keys) {
		t.Errorf("%d keys are listed, %d were put", len(all), len(keys))
	}
	for i, key := range keys {
		if i%2 == 0 {
			remove(t, s, key)
		}
	}
	for i, key := range keys {
		if i%2 == 0 {
			gone(t, s, key)
		} else {
			holds(t, get(t, s, key).Value, i)
		}
	}
}

func testBadKeys(t *testing.T, s kvs.Store) {
	for _, key := range []kvs.Key{"", kvs.Key(strings.Repeat("k", kvs.MaxKey+1)), kvs.Key(strings.Repeat("k", 64<<10))} {
		_, err := s.Get(within(t), key)
		fails(t, "get", err, fault.InvalidKey)
		_, err = s.Put(within(t), key, value.MustOf(1), kvs.PutOptions{})
		fails(t, "put", err, fault.InvalidKey)
		_, err = cas(t, s, key, 1, 0)
		fails(t, "compare-and-set", err, fault.InvalidKey)
		fails(t, "delete", s.Delete(within(t), key, 0), fault.InvalidKey)
	}
	put(t, s, "a", 1) // the store is still there
}

func testKinds(t *testing.T, s kvs.Store) {
	kinds := map[kvs.Key]any{
		"null": nil, "bytes": []byte{0, 1, 0xff}, "no bytes": []byte{}, "text": "naïve", "no text": "", "int": -42, "float": 1.5, "bool": true,
		"reference": value.Ref("some key"), "map": map[string]int{"a": 1}, "struct": struct{ A, B int }{1, 2}, "list": []string{"a", "b"},
		"empty list": []string{}, "values": []value.Value{value.MustOf(1), value.MustOf("x")},
	}
	for key, x := range kinds {
		put(t, s, key, x)
	}
	for key, x := range kinds {
		holds(t, get(t, s, key).Value, x)
	}
	if n, err := value.As[int](get(t, s, "int").Value); err != nil || n != -42 {
		t.Fatalf("int: %d, %v", n, err)
	}
}

// noise gives n bytes that differ by seed and everywhere.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	r := rand.NewChaCha8(key)
	_, _ = r.Read(b) // never fails
	return b
}

func testSizes(t *testing.T, s kvs.Store) {
	sizes := []int{0, 1, 100, 64 << 10, 512<<10 - 1, 512 << 10, 512<<10 + 1, 1 << 20, 3<<20 + 7, 8 << 20}
	for i, n := range sizes {
		put(t, s, kvs.Key(fmt.Sprint("size ", n)), noise(n, uint64(i)))
	}
	for i, n := range sizes {
		holds(t, get(t, s, kvs.Key(fmt.Sprint("size ", n))).Value, noise(n, uint64(i)))
	}
	put(t, s, "text", string(bytes.Repeat([]byte("long "), 200_000)))
	holds(t, get(t, s, "text").Value, string(bytes.Repeat([]byte("long "), 200_000)))
}

// testLarge has a value that takes some eighty chunks where there are any. The largest there may be is for a test that
// has a minute.
func testLarge(t *testing.T, s kvs.Store) {
	b := noise(40<<20+1, 1)
	put(t, s, "large", b)
	holds(t, get(t, s, "large").Value, b)
	remove(t, s, "large")
	gone(t, s, "large")
}

func testTooLarge(t *testing.T, s kvs.Store) {
	rev := put(t, s, "a", 1)
	b := make([]byte, kvs.MaxValue+1)
	_, err := s.Put(within(t), "a", value.MustOf(b), kvs.PutOptions{})
	fails(t, "put", err, fault.TooLarge)
	if !strings.Contains(err.Error(), fmt.Sprint(kvs.MaxValue)) {
		t.Errorf("%v: does not name the limit", err)
	}
	_, err = s.CompareAndSet(within(t), "a", value.MustOf(b), rev, kvs.PutOptions{})
	fails(t, "compare-and-set", err, fault.TooLarge)
	holds(t, get(t, s, "a").Value, 1)
}

func testLargeOverwrites(t *testing.T, s kvs.Store) {
	var rev kvs.Revision
	for i, n := range []int{10, 2 << 20, 1 << 20, 100, 3 << 20} {
		b := noise(n, uint64(i))
		next, err := cas(t, s, "a", b, rev)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, get(t, s, "a").Value, b)
		_, err = cas(t, s, "a", noise(1<<20, 99), rev)
		if i > 0 {
			fails(t, "a large compare-and-set at an old revision", err, fault.Conflict)
		}
		holds(t, get(t, s, "a").Value, b)
		rev = next
	}
}

// testRacingReaders overwrites a large value while others read it: they see one version or another, never a mixture.
func testRacingReaders(t *testing.T, s kvs.Store) {
	const versions, size = 6, 1200 << 10
	valid := map[string]bool{}
	var contents [][]byte
	for i := range versions {
		b := noise(size, uint64(i))
		contents = append(contents, b)
		valid[string(b)] = true
	}
	put(t, s, "a", contents[0])
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var last kvs.Revision
			for {
				select {
				case <-stop:
					return
				default:
				}
				e, err := s.Get(within(t), "a")
				if err != nil {
					t.Error(err)
					return
				}
				b, err := value.As[[]byte](e.Value)
				if err != nil || !valid[string(b)] {
					t.Errorf("revision %d: %d bytes that nobody wrote, %v", e.Revision, len(b), err)
					return
				}
				if e.Revision < last {
					t.Errorf("revision %d after %d", e.Revision, last)
				}
				last = e.Revision
			}
		})
	}
	for _, b := range contents[1:] {
		put(t, s, "a", b)
	}
	close(stop)
	wg.Wait()
}
