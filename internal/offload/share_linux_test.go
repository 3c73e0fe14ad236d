//go:build amd64 || arm64

package offload

import (
	"bytes"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/shm"
	"github.com/squall-faas/squall/value"
)

func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "squall-test-") //nolint:usetesting // in memory
	if err != nil {
		dir = t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func memory(t testing.TB, dir string, most int64) *shm.Store {
	t.Helper()
	m, err := shm.Open(shm.Config{Dir: dir, MaxBytes: most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// TestSharedMemory: between processes of one host a large value is written once and sent to nobody.
func TestSharedMemory(t *testing.T) {
	dir := memoryDir(t)
	mine := memory(t, dir, 1<<30)
	a := newSite(t, siteConfig{name: "a", memory: mine})
	b := newSite(t, siteConfig{name: "b", memory: memory(t, dir, 1<<30)})
	c := newSite(t, siteConfig{name: "c", memory: memory(t, dir, 1<<30)})
	floats := make([]float64, 1<<20)
	for i := range floats {
		floats[i] = float64(i) / 3
	}
	v := value.MustOf(floats)
	m := a.gives(t, "b", v)
	var all sync.WaitGroup
	for _, s := range []*site{b, c, b, c} {
		all.Go(func() {
			got, err := s.In(t.Context(), m)
			if err != nil {
				t.Error(err)
				return
			}
			equal(t, got, v)
			if x, err := value.As[[]float64](got); err != nil || len(x) != len(floats) || x[1000] != floats[1000] {
				t.Errorf("%d numbers, %v", len(x), err)
			}
		})
	}
	all.Wait()
	if n := a.sent(); n != 0 {
		t.Errorf("%d bytes were sent", n)
	}
	if s := mine.Stats(); s.Files != 1 {
		t.Errorf("%d files", s.Files)
	}
	small := sized(DefaultShare - 1)
	b.takes(t, a.gives(t, "b", small), small)
	if n := a.sent(); n != DefaultShare-1 {
		t.Errorf("%d bytes were sent of a small value", n)
	}
	got, err := b.In(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	a.hold.Release("run")
	for range 1000 { // the file goes on a goroutine of its own
		if mine.Stats().Files == 0 {
			break
		}
		runtime.Gosched()
	}
	equal(t, got, v)
}

// TestSharesNothing: where memory is not shared, though the host's name says so, or has no room, values are sent.
func TestSharesNothing(t *testing.T) {
	v := sized(2 << 20)
	for name, make := range map[string]func() (of, with *shm.Store){
		"two containers": func() (*shm.Store, *shm.Store) {
			return memory(t, memoryDir(t), 1<<30), memory(t, memoryDir(t), 1<<30)
		},
		"full": func() (*shm.Store, *shm.Store) {
			dir := memoryDir(t)
			return memory(t, dir, 1<<20), memory(t, dir, 1<<30)
		},
		"the reader has none": func() (*shm.Store, *shm.Store) { return memory(t, memoryDir(t), 1<<30), nil },
		"the holder has none": func() (*shm.Store, *shm.Store) { return nil, memory(t, memoryDir(t), 1<<30) },
	} {
		t.Run(name, func(t *testing.T) {
			of, with := make()
			a, b := newSite(t, siteConfig{name: "a", memory: of}), newSite(t, siteConfig{name: "b", memory: with})
			b.takes(t, a.gives(t, "b", v), v)
			if n := a.sent(); n != 2<<20 {
				t.Errorf("%d bytes were sent", n)
			}
			other := sized(3 << 20)
			b.takes(t, a.gives(t, "b", other), other)
			if name == "two containers" && !b.apart.has(a.server.Addr(), time.Now()) {
				t.Error("it is tried again each time")
			}
		})
	}
}

// TestSharedIsChecked: what is in shared memory is believed no more than what is sent.
func TestSharedIsChecked(t *testing.T) {
	dir := memoryDir(t)
	a := newSite(t, siteConfig{name: "a", memory: memory(t, dir, 1<<30)})
	b := newSite(t, siteConfig{name: "b", memory: memory(t, dir, 1<<30)})
	data := bytes.Repeat([]byte{9}, 2<<20)
	m := a.gives(t, "b", value.MustOf(data))
	data[5] = 1 // against the rules, before the first reader has it written
	_, err := b.In(t.Context(), m)
	wantCode(t, err, "unavailable")
	data[5] = 9
	b.takes(t, m, value.MustOf(data)) // sent, for the file is wrong
}
