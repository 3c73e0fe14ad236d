package lend

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func memory(t interface {
	Fatal(...any)
	Cleanup(func())
}, most, limit int64) *Memory {
	m, err := NewMemory(most, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func id(v byte, column uint16) ID { return ID{Version{v}, column} }

// put writes a shard of bytes v.
func put(m *Memory, id ID, stripe uint32, size int) error {
	w, err := m.Put(Meta{ID: id, Key: "k"}, stripe, size, start)
	if err != nil {
		return err
	}
	for _, v := range w.Views {
		for i := range v {
			v[i] = id.Version[0]
		}
	}
	if !w.Commit(uint64(size)) {
		return fault.New(fault.Conflict, "dropped meanwhile")
	}
	return nil
}

// right reads a shard and reports whether it is there with the right bytes.
func right(m *Memory, id ID, stripe uint32, size int) bool {
	r, err := m.Get(id, stripe, start)
	if err != nil {
		return false
	}
	defer r.Release()
	return bytes.Equal(bytes.Join(r.Views, nil), bytes.Repeat([]byte{id.Version[0]}, size)) && r.Size == size && r.Sum == uint64(size)
}

// TestHardBound does everything at random: never is more in use or resident than the limit and what is still read, no shard
// gives another's bytes, and what a reader has does not change under it.
func TestHardBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 40 * blockBytes
		m := memory(t, most, most)
		limit := int64(most)
		type read struct {
			*Reading
			v byte
		}
		var reads []read
		sizes := map[ID]int{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := id(byte(rapid.IntRange(1, 12).Draw(t, "version")), uint16(rapid.IntRange(0, 1).Draw(t, "column")))
			switch rapid.SampledFrom([]string{"put", "put", "put", "abort", "get", "release", "seal", "drop", "retire", "limit"}).Draw(t, "what") {
			case "put":
				if sizes[i] == 0 {
					sizes[i] = rapid.IntRange(1, 5*blockBytes).Draw(t, "size")
				}
				_ = put(m, i, 0, sizes[i])
			case "abort":
				if w, err := m.Put(Meta{ID: i}, 0, 100, start); err == nil {
					w.Abort()
				}
			case "get":
				if r, err := m.Get(i, 0, start); err == nil {
					reads = append(reads, read{r, i.Version[0]})
				}
			case "release":
				if len(reads) > 0 {
					reads[0].Release()
					reads = reads[1:]
				}
			case "seal":
				m.Seal(i.Version, start)
			case "drop":
				m.Drop(i.Version, -1)
			case "retire":
				m.Retire(i.Version, start)
			case "limit":
				limit = rapid.Int64Range(0, most).Draw(t, "limit")
				m.Limit(limit)
			}
			s := m.Stats()
			if s.Used > limit+s.Pinned || s.Resident > max(limit, s.Used) || s.Bytes > s.Used {
				t.Fatalf("limit %d: %+v", limit, s)
			}
			for _, r := range reads {
				for _, v := range r.Views {
					if len(bytes.Trim(v, string(r.v))) > 0 {
						t.Fatal("a reader's bytes have changed")
					}
				}
			}
			for i, size := range sizes {
				if r, err := m.Get(i, 0, start); err == nil {
					r.Release()
					if !right(m, i, 0, size) {
						t.Fatalf("wrong bytes of %v", i)
					}
				}
			}
		}
		for _, r := range reads {
			r.Release()
		}
		m.Limit(0)
		if s := m.Stats(); s.Used != 0 || s.Resident != 0 || s.Columns != 0 {
			t.Fatalf("after all was given back: %+v", s)
		}
	})
}

// TestClock: what is read stays, what is not goes; what is being written does not.
func TestClock(t *testing.T) {
	m := memory(t, 4*blockBytes, 4*blockBytes)
	for v := byte(1); v <= 4; v++ {
		if err := put(m, id(v, 0), 0, blockBytes); err != nil {
			t.Fatal(err)
		}
		if v != 2 {
			m.Seal(Version{v}, start)
		}
	}
	right(m, id(1, 0), 0, blockBytes)
	if err := put(m, id(5, 0), 0, blockBytes); err != nil {
		t.Fatal(err)
	}
	for v, there := range map[byte]bool{1: true, 2: true, 3: false, 4: true, 5: true} {
		if got := right(m, id(v, 0), 0, blockBytes); got != there {
			t.Errorf("version %d there: %v", v, got)
		}
	}
	if err := put(m, id(6, 0), 0, 4*blockBytes); !fault.Is(err, fault.Overloaded) {
		t.Errorf("two that are not sealed were to go: %v", err)
	}
}

// TestRetired: what is not current any more goes first, though it was read; and by itself in the end.
func TestRetired(t *testing.T) {
	m := memory(t, 4*blockBytes, 4*blockBytes)
	for v := byte(1); v <= 4; v++ {
		if err := put(m, id(v, 0), 0, blockBytes); err != nil {
			t.Fatal(err)
		}
		m.Seal(Version{v}, start)
	}
	m.Retire(Version{3}, start)
	m.Retire(Version{4}, start)
	if !right(m, id(3, 0), 0, blockBytes) {
		t.Fatal("a reader that has begun finds it")
	}
	if err := put(m, id(5, 0), 0, blockBytes); err != nil || right(m, id(3, 0), 0, blockBytes) || !right(m, id(1, 0), 0, blockBytes) {
		t.Fatal(err, m.Held(nil))
	}
	m.Sweep(start.Add(linger-1), time.Minute)
	if !right(m, id(4, 0), 0, blockBytes) {
		t.Fatal("swept too early")
	}
	m.Sweep(start.Add(linger), time.Minute)
	if right(m, id(4, 0), 0, blockBytes) {
		t.Fatal("not swept")
	}
}

// TestTorn: a write that is given up leaves what was there, and nothing else.
func TestTorn(t *testing.T) {
	m := memory(t, 8*blockBytes, 8*blockBytes)
	if err := put(m, id(1, 0), 0, 100); err != nil {
		t.Fatal(err)
	}
	w, err := m.Put(Meta{ID: id(1, 0)}, 0, 100, start)
	if err != nil {
		t.Fatal(err)
	}
	copy(w.Views[0], "garbage")
	w.Abort()
	w, err = m.Put(Meta{ID: id(2, 0)}, 0, 100, start)
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if !right(m, id(1, 0), 0, 100) || len(m.Held(nil)) != 1 {
		t.Fatal(m.Held(nil))
	}
	w, err = m.Put(Meta{ID: id(3, 0)}, 0, 100, start)
	if err != nil {
		t.Fatal(err)
	}
	m.Drop(Version{3}, -1)
	if _, err := m.Put(Meta{ID: id(3, 0)}, 1, 100, start); !fault.Is(err, fault.Conflict) {
		t.Fatal("the rest of a column that is gone", err)
	}
	if w.Commit(1) || m.Stats().Used != blockBytes {
		t.Fatal("dropped in the middle of its write", m.Stats())
	}
}

// TestSweep: TTLs end, and writes that were not finished show.
func TestSweep(t *testing.T) {
	m := memory(t, 8*blockBytes, 8*blockBytes)
	w, err := m.Put(Meta{ID: id(1, 0), Expires: start.Add(time.Minute)}, 0, 10, start)
	if err != nil {
		t.Fatal(err)
	}
	w.Commit(0)
	m.Seal(Version{1}, start)
	if err := put(m, id(2, 0), 0, 10); err != nil {
		t.Fatal(err)
	}
	if got := m.Sweep(start.Add(59*time.Second), time.Minute); len(got) != 0 || len(m.Held(nil)) != 2 {
		t.Fatal(got)
	}
	if _, err := m.Get(id(1, 0), 0, start.Add(time.Minute)); !fault.Is(err, fault.NotFound) {
		t.Fatal("read after its time", err)
	}
	if got := m.Sweep(start.Add(time.Minute), time.Minute); len(got) != 1 || got[0].Version != (Version{2}) || len(m.Held(nil)) != 1 {
		t.Fatal(got)
	}
}

// TestPolicy: the work's memory comes first, at once; lending grows slowly and only where the executor idles.
func TestPolicy(t *testing.T) {
	const gib = 1 << 30
	idle := Load{Total: 16 * gib, Used: 2 * gib, Slots: 8, IdleFor: time.Minute}
	var p Policy
	for name, c := range map[string]struct {
		change func(*Load)
		want   int64
	}{
		"begins":             {func(*Load) {}, 256 << 20},
		"grows by steps":     {func(l *Load) { l.Lent = gib }, gib + 256<<20},
		"no more than most":  {func(l *Load) { l.Lent = 4 * gib }, 4 * gib},
		"keeps the reserve":  {func(l *Load) { l.Lent, l.Used = 4*gib, 10*gib }, 2 * gib},
		"nothing is left":    {func(l *Load) { l.Lent, l.Used = 4*gib, 15*gib }, 0},
		"not quiet yet":      {func(l *Load) { l.Lent, l.IdleFor = gib, time.Second }, gib},
		"busy":               {func(l *Load) { l.Lent, l.Busy = gib, 5 }, gib},
		"very busy":          {func(l *Load) { l.Lent, l.Busy = gib, 7 }, gib / 2},
		"more than slots":    {func(l *Load) { l.Lent, l.Busy = gib, 20 }, gib / 2},
		"memory is short":    {func(l *Load) { l.Lent, l.Pressured = gib, true }, gib / 2},
		"about to stop":      {func(l *Load) { l.Lent, l.Draining = gib, true }, 0},
		"has no slots":       {func(l *Load) { l.Slots = 0 }, 256 << 20},
		"knows of no memory": {func(l *Load) { l.Total = 0 }, 0},
	} {
		l := idle
		c.change(&l)
		if got := p.Lend(l); got != c.want {
			t.Errorf("%s: %d MiB, not %d", name, got>>20, c.want>>20)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		l := Load{
			Total: rapid.Int64Range(0, 64*gib).Draw(t, "total"), Used: rapid.Int64Range(0, 64*gib).Draw(t, "used"), Slots: rapid.IntRange(0, 64).Draw(t, "slots"),
			Busy: rapid.IntRange(0, 100).Draw(t, "busy"), IdleFor: time.Duration(rapid.IntRange(0, 20).Draw(t, "idle")) * time.Second, Lent: rapid.Int64Range(0, 64*gib).Draw(t, "lent"),
			Draining: rapid.Bool().Draw(t, "draining"), Pressured: rapid.Bool().Draw(t, "pressured"),
		}
		got := p.Lend(l)
		if got < 0 || got > l.Total/4 || got > 0 && l.Used+got+l.Total/4 > l.Total {
			t.Fatalf("%+v: %d", l, got)
		}
		if l.Lent = got; got > 0 && p.Lend(l) < got && !l.Pressured && l.Busy*4 <= l.Slots*3 {
			t.Fatalf("%+v: what was just lent is taken back", l)
		}
	})
}
