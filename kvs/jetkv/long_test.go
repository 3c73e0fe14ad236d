package jetkv_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

// minutes skips a test that takes minutes, unless SQUALL_LONG is set.
func minutes(t *testing.T) {
	t.Helper()
	if !long() {
		t.Skip("takes minutes: set SQUALL_LONG=1")
	}
}

// TestLargestValue takes the largest value there is once around: put, get, overwritten, reopened, deleted, its chunks
// swept; through a server in a process of its own, so that the memory of both shows.
func TestLargestValue(t *testing.T) {
	minutes(t)
	const window = 128 << 20 // what this process may need beside the value
	dir := t.TempDir()
	srv := startChild(t, "interval", dir)
	conn := srv.dial(t)
	s := open(t, conn, jetkv.Config{})
	step := func(what string, f func()) {
		t.Helper()
		begin := time.Now()
		f()
		now, _ := memory(t, 0)
		server, peak := memory(t, srv.cmd.Process.Pid)
		t.Logf("%s: %.1f s; this process has %d MiB, the server %d, at most %d", what, time.Since(begin).Seconds(), now>>20, server>>20, peak>>20)
	}
	fill := func(b []byte, seed uint64) uint64 {
		for i := 0; i+8 <= len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], (uint64(i)+seed)*0x9e3779b97f4a7c15)
		}
		return xxhash.Sum64(b)
	}
	var sum uint64
	check := func(s kvs.Store) {
		t.Helper()
		e, err := s.Get(within(t), "largest")
		if err != nil {
			t.Fatal(err)
		}
		b, err := value.As[[]byte](e.Value)
		if err != nil || len(b) != kvs.MaxValue || xxhash.Sum64(b) != sum {
			t.Fatalf("%d bytes, %v: not what was put", len(b), err)
		}
	}
	before, _ := memory(t, 0)
	// The collector lets the heap grow to twice what lives in it. Here it has to work for its living.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(before + kvs.MaxValue + window/2))
	b := make([]byte, kvs.MaxValue)
	for round := range 2 {
		sum = fill(b, uint64(round))
		step(fmt.Sprintf("put %d", round+1), func() { put(t, s, "largest", b) })
	}
	now, peak := memory(t, 0)
	if peak > before+kvs.MaxValue+window {
		t.Errorf("this process has %d MiB, and had %d before, and %d at most: too much for one value", now>>20, before>>20, peak>>20)
	}
	b = nil
	runtime.GC()
	debug.FreeOSMemory()
	step("get", func() { check(s) })
	debug.FreeOSMemory()
	if _, peak := memory(t, 0); peak > before+kvs.MaxValue+window {
		t.Errorf("this process had %d MiB at most, and %d before: too much for one value", peak>>20, before>>20)
	}
	until(t, "the chunks of the first are removed", func() bool { return len(subjects(t, conn, "squall.test.kvc.*.*.*.*.*")) == kvs.MaxValue/(512<<10) })
	srv.kill()
	conn.Close()
	srv = startChild(t, "interval", dir)
	conn = srv.dial(t)
	s = open(t, conn, jetkv.Config{SweepGrace: time.Second})
	step("get after a kill", func() { check(s) })
	step("delete", func() {
		if err := s.Delete(within(t), "largest", 0); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := s.Sweep(within(t)); err != nil {
		t.Fatal(err)
	}
	until(t, "its chunks are removed", func() bool { return len(subjects(t, conn, "squall.test.kvc.*.*.*.*.*")) == 0 })
	step("after all", func() {})
}

// TestTenMillionKeys lists ten million keys page by page: each exactly once, and in memory that does not grow with them.
func TestTenMillionKeys(t *testing.T) {
	minutes(t)
	n := 10_000_000
	if text := os.Getenv("SQUALL_KEYS"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
	}
	srv := startChild(t, "memory", "")
	s := open(t, srv.dial(t), jetkv.Config{Memory: true, Shards: 16})
	begin := time.Now()
	const batch = 20_000
	work := make(chan int)
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			var err error
			for from := range work {
				writes := make([]kvs.Write, 0, batch)
				for i := from; i < min(from+batch, n); i++ {
					writes = append(writes, kvs.Write{Key: kvs.Key(fmt.Sprintf("k%d", i)), Value: value.MustOf(true), Expect: kvs.AnyRevision})
				}
				r, werr := s.WriteMany(t.Context(), writes, kvs.Fence{})
				if werr != nil && err == nil {
					err = werr
				}
				for _, r := range r {
					if r.Err != nil && err == nil {
						err = r.Err
					}
				}
			}
			done <- err
		}()
	}
	for from := 0; from < n; from += batch {
		work <- from
	}
	close(work)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	server, _ := memory(t, srv.cmd.Process.Pid)
	t.Logf("%d keys are written in %.0f s; the server has %d MiB, %d bytes a key", n, time.Since(begin).Seconds(), server>>20, server/int64(n))

	runtime.GC()
	debug.FreeOSMemory()
	before, _ := memory(t, 0)
	begin = time.Now()
	seen := make([]uint64, n/64+1) // a bit a key
	count, pages, peak := 0, 0, int64(0)
	for cursor := ""; ; pages++ {
		page, err := s.List(t.Context(), "", cursor, kvs.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range page.Keys {
			var i int
			if _, err := fmt.Sscanf(string(key), "k%d", &i); err != nil || i < 0 || i >= n {
				t.Fatalf("key %q is listed, which nobody wrote", key)
			}
			if seen[i/64]&(1<<(i%64)) != 0 {
				t.Fatalf("key %q is listed twice", key)
			}
			seen[i/64] |= 1 << (i % 64)
			count++
		}
		if pages%16 == 0 {
			now, _ := memory(t, 0)
			peak = max(peak, now)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if count != n {
		t.Fatalf("%d keys are listed, %d were written", count, n)
	}
	t.Logf("listed in %d pages in %.0f s; this process had %d MiB before and %d at most", pages+1, time.Since(begin).Seconds(), before>>20, peak>>20)
	if peak > before+256<<20 {
		t.Errorf("listing takes %d MiB", (peak-before)>>20)
	}
}

// TestFollowMany measures what a key that is followed costs the client and the server.
func TestFollowMany(t *testing.T) {
	n := 2000
	if long() {
		n = 100_000
	}
	srv := startChild(t, "memory", "")
	s := open(t, srv.dial(t), jetkv.Config{Memory: true})
	f, err := s.Follow(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	keys := names("user:1234:key ", n)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	client := heap()
	server, _ := memory(t, srv.cmd.Process.Pid)
	begin := time.Now()
	for _, key := range keys {
		if err := f.Add(key); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(begin)
	client = heap() - client
	after, _ := memory(t, srv.cmd.Process.Pid)
	t.Logf("%d keys are followed in %.1f s: %d bytes a key here, %d in the server", n, took.Seconds(), client/int64(n), (after-server)/int64(n))
	if each := client / int64(n); each > 2000 {
		t.Errorf("a key costs %d bytes", each)
	}
	// They are followed.
	last := keys[n-1]
	rev := put(t, s, last, 1)
	if p := <-f.Changes(); p.Key != last || p.Revision != rev {
		t.Fatalf("pushed %+v", p)
	}
	runtime.KeepAlive(keys)
}
