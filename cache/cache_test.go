package cache

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func TestReadThrough(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	rev := put(t, s, "k", 7)
	wantInt(t, c, "k", 7)
	for range 100 {
		wantInt(t, c, "k", 7)
	}
	if n := s.gets.Load(); n != 1 {
		t.Fatalf("%d reads of the store, want 1", n)
	}
	e, err := c.Entry(t.Context(), "k")
	if err != nil || e.Revision != rev || e.Key != "k" || e.Written.IsZero() {
		t.Fatalf("entry %+v, %v", e, err)
	}
	if !c.Contains("k") || c.Contains("other") {
		t.Fatal("Contains")
	}
	st := c.Stats()
	if st.Hits != 101 || st.Misses != 1 || st.Reads != 1 || st.Entries != 1 || st.Bytes < overhead {
		t.Fatalf("%+v", st)
	}
	c.inspect(t)
}

func TestKindsSurvive(t *testing.T) {
	type point struct{ X, Y int }
	s := newStage(t)
	c := start(t, s, 0)
	long := bytes.Repeat([]byte("x"), 1<<16)
	for name, x := range map[string]any{
		"null": nil, "bytes": []byte{0, 1}, "none": []byte{}, "text": "héllo", "empty": "", "int": 3, "struct": point{1, 2},
		"floats": []float64{1, 2}, "ref": value.Ref("elsewhere"), "piece": long[10:20],
		"list": []value.Value{value.MustOf(1), value.MustOf("a")},
	} {
		key := kvs.Key(name)
		want, err := value.MustOf(x).Wire()
		if err != nil {
			t.Fatal(err)
		}
		check := func(how string) {
			t.Helper()
			v, err := c.Get(t.Context(), key)
			if err != nil {
				t.Fatalf("%s %s: %v", how, name, err)
			}
			if got, err := v.Wire(); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s %s: %x, %v; want %x", how, name, got, err, want)
			}
		}
		put(t, s, key, x)
		check("read")
		check("held")
		if _, err := c.Put(t.Context(), key, value.MustOf(x)); err != nil {
			t.Fatal(err)
		}
		check("written")
	}
}

func TestPutOwnsItsBytes(t *testing.T) {
	c := start(t, newStage(t), 0)
	b := []byte("before")
	if _, err := c.Put(t.Context(), "k", value.MustOf(b)); err != nil {
		t.Fatal(err)
	}
	copy(b, "after!")
	v, err := c.Get(t.Context(), "k")
	if got, _ := value.As[[]byte](v); err != nil || string(got) != "before" {
		t.Fatalf("%q, %v: the caller's slice is in the cache", got, err)
	}
}

func TestNotFoundIsNotCached(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	for range 3 {
		_, err := c.Get(t.Context(), "k")
		wantCode(t, err, fault.NotFound)
	}
	if s.gets.Load() != 3 {
		t.Fatalf("%d reads, want 3", s.gets.Load())
	}
	put(t, s, "k", 1)
	wantInt(t, c, "k", 1)
}

func TestWriteThrough(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	for i := range 2000 {
		rev, err := c.Put(t.Context(), "k", value.MustOf(i))
		if err != nil {
			t.Fatal(err)
		}
		e, err := c.Entry(t.Context(), "k")
		if err != nil || e.Revision < rev {
			t.Fatalf("after put %d: %+v, %v", rev, e, err)
		}
		wantInt(t, c, "k", i)
	}
	if err := c.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	_, err := c.Get(t.Context(), "k")
	wantCode(t, err, fault.NotFound)
	if err := c.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	c.inspect(t)
}

func TestBadKeys(t *testing.T) {
	c := start(t, newStage(t), 0)
	for _, key := range []kvs.Key{"", kvs.Key(strings.Repeat("k", kvs.MaxKey+1))} {
		_, err := c.Get(t.Context(), key)
		wantCode(t, err, fault.InvalidKey)
		_, err = c.Put(t.Context(), key, value.Value{})
		wantCode(t, err, fault.InvalidKey)
		wantCode(t, c.Delete(t.Context(), key), fault.InvalidKey)
	}
}

func TestConfig(t *testing.T) {
	_, err := New(Config{})
	wantCode(t, err, fault.InvalidArgument)
	s := newStage(t)
	_, err = New(Config{Store: s, MaxBytes: 1})
	wantCode(t, err, fault.InvalidArgument)
	_, err = New(Config{Store: s, IdleAfter: -1})
	wantCode(t, err, fault.InvalidArgument)
	s.refuse.Store(true)
	_, err = New(Config{Store: s})
	wantCode(t, err, fault.Unavailable)
}

func TestCollision(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	c.mask = 1 // two hashes for all keys
	for i := range 50 {
		put(t, s, kvs.Key(fmt.Sprint(i)), i)
	}
	for range 3 {
		for i := range 50 {
			wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
		}
	}
	for i := range 50 {
		key := kvs.Key(fmt.Sprint(i))
		if _, err := c.Put(t.Context(), key, value.MustOf(-i)); err != nil {
			t.Fatal(err)
		}
		wantInt(t, c, key, -i)
		if i%3 == 0 {
			if err := c.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 50 {
		if i%3 != 0 {
			wantInt(t, c, kvs.Key(fmt.Sprint(i)), -i)
		}
	}
	c.inspect(t)
}

// TestLostAnswer: a write whose answer is lost is looked for, and counts once.
func TestLostAnswer(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 1)
	wantInt(t, c, "k", 1)
	s.deaf.Store(true)
	done := make(chan error, 1)
	go func() { _, err := c.Put(context.Background(), "k", value.MustOf(2)); done <- err }()
	until(t, "it is tried", func() bool { return s.batches.Load() > 0 })
	wantInt(t, c, "k", 2)
	s.deaf.Store(false)
	must(t, <-done)
	wantInt(t, c, "k", 2)
	if n := s.written.Load(); n != 1 {
		t.Fatalf("it was written %d times", n)
	}
	c.inspectQuiet(t)
}

func TestClose(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "held", 1)
	wantInt(t, c, "held", 1)
	reading := make(chan struct{})
	s.set(func() {
		s.get = func(ctx context.Context, _ kvs.Key, _ func() (kvs.Entry, error)) (kvs.Entry, error) {
			close(reading)
			<-ctx.Done()
			return kvs.Entry{}, fault.From(ctx.Err())
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := c.Get(context.Background(), "away")
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("a read under way ended with %v", err)
		}
	})
	<-reading
	for range 4 {
		wg.Go(func() {
			for {
				if _, err := c.Get(context.Background(), "held"); err != nil {
					if !fault.Is(err, fault.Unavailable) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	_, err := c.Put(t.Context(), "k", value.Value{})
	wantCode(t, err, fault.Unavailable)
	wantCode(t, c.Delete(t.Context(), "k"), fault.Unavailable)
	if st := c.Stats(); st.Entries != 0 || st.Bytes != 0 {
		t.Fatalf("%+v", st)
	}
}

// TestMetricsAreBounded: however many applications come and go, so many have metrics at a time.
func TestMetricsAreBounded(t *testing.T) { synctest.Test(t, testMetricsAreBounded) }

func testMetricsAreBounded(t *testing.T) {
	c := startWith(t, Config{Store: endless(16), MaxBytes: MinMaxBytes, IdleAfter: time.Minute})
	r := prometheus.NewRegistry()
	must(t, c.RegisterMetrics(r))
	series := func() (n int) {
		families, err := r.Gather()
		must(t, err)
		for _, f := range families {
			n += len(f.GetMetric())
		}
		return n
	}
	for round := range 5 {
		for i := range c.limits.apps {
			c.app(t, fmt.Sprint(round, " ", i))
		}
		_, err := c.Cachelet("one too many")
		wantCode(t, err, fault.Overloaded)
		if n, want := series(), len(figures)+4*(c.limits.apps+1); n != want {
			t.Fatalf("%d series, want %d", n, want)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := series(); n != len(figures)+4 {
			t.Fatalf("%d series when all are idle", n)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	r := prometheus.NewRegistry()
	if err := c.RegisterMetrics(r); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", 1)
	wantInt(t, c, "k", 1)
	wantInt(t, c, "k", 1)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
	}
	if len(got) != 17 || got["squall_cache_hits_total"] != 1 || got["squall_cache_misses_total"] != 1 || got["squall_cache_entries"] != 1 || got["squall_cache_app_bytes"] < overhead || got["squall_cache_app_misses_total"] != 1 {
		t.Fatal(got)
	}
}
