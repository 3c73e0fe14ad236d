package cache

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/cache/reuse"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

func (c *Cache) app(t testing.TB, app string) *Cachelet {
	t.Helper()
	l, err := c.Cachelet(app)
	must(t, err)
	return l
}

func read1(t testing.TB, l *Cachelet, key string) {
	t.Helper()
	if _, err := l.Get(t.Context(), kvs.Key(key)); err != nil {
		t.Fatal(err)
	}
}

// withinShares holds what each application holds against what it may hold, and all of it against the node's bound. Newcomers
// about which ristretto has yet to decide may be an eighth of the whole beyond.
func (c *Cache) withinShares(t testing.TB) {
	t.Helper()
	for _, a := range c.AppStats() {
		if a.Bytes > a.Capacity+a.Capacity/7 {
			t.Fatalf("%q holds %d bytes of %d", a.App, a.Bytes, a.Capacity)
		}
	}
	if b := c.Stats().Bytes; b > c.limits.hard {
		t.Fatalf("%d bytes are held of %d", b, c.limits.hard)
	}
}

// TestApplicationsAreApart: what one application floods its cachelet with drives nothing of another one's out, and each keeps
// to its share.
func TestApplicationsAreApart(t *testing.T) {
	c := start(t, endless(1024), 16<<20)
	quiet, loud := c.app(t, "quiet"), c.app(t, "loud")
	const keys = 500
	for i := range keys {
		read1(t, quiet, fmt.Sprint("quiet ", i))
	}
	read1(t, quiet, "shared")
	c.decided()
	for i := range 20_000 {
		read1(t, loud, fmt.Sprint("loud ", i))
		if i%500 == 0 {
			c.decided()
			c.withinShares(t)
		}
	}
	c.decided()
	for i := range keys {
		if key := kvs.Key(fmt.Sprint("quiet ", i)); !c.Contains(key) {
			t.Fatalf("%q was driven out", key)
		}
	}
	// A key that both read is held once, for who read it first.
	before := loud.bytes.Load()
	read1(t, loud, "shared")
	if got := loud.bytes.Load(); got != before {
		t.Fatalf("%d bytes more for a key that is held", got-before)
	}
	c.inspectQuiet(t)
}

// TestManyApplications: a small cache has room for so many cachelets, and says so.
func TestManyApplications(t *testing.T) {
	c := start(t, endless(1024), MinMaxBytes)
	n := 0
	var err error
	for ; err == nil && n <= MaxApps; n++ {
		if _, err = c.Cachelet(fmt.Sprint("app ", n)); err == nil {
			var sum int64
			for _, share := range c.Shares() {
				sum += share
			}
			if sum > c.limits.soft {
				t.Fatalf("%d applications may hold %d bytes of %d", n+1, sum, c.limits.soft)
			}
		}
	}
	wantCode(t, err, fault.Overloaded)
	if n-1 != c.limits.apps {
		t.Fatalf("%d applications, want %d", n-1, c.limits.apps)
	}
}

// TestSharesFollowReuse: bytes go to the application whose misses they save.
func TestSharesFollowReuse(t *testing.T) { synctest.Test(t, testSharesFollowReuse) }

func testSharesFollowReuse(t *testing.T) {
	c := start(t, endless(1024), 16<<20)
	reuser, scanner := c.app(t, "reuser"), c.app(t, "scanner")
	even := c.Shares()["reuser"]
	const keys = 5000 // more than an even share has room for
	at := 0
	for rounds := 0; c.Shares()["reuser"] < even+even/2; rounds++ {
		if rounds == 20 {
			t.Fatalf("after %d rounds: %v, even shares were %d", rounds, c.Shares(), even)
		}
		for i := range keys {
			read1(t, reuser, fmt.Sprint("again ", i))
			if i%4 == 0 {
				read1(t, scanner, fmt.Sprint("once ", at))
				at++
			}
			if i%500 == 0 {
				c.decided()
				c.withinShares(t)
			}
		}
		c.Rebalance()
		synctest.Wait()
	}
	shares := c.Shares()
	if shares["scanner"] >= even || shares["reuser"]+shares["scanner"]+shares[""] > c.limits.soft {
		t.Fatalf("%v, of %d", shares, c.limits.soft)
	}
	c.decided()
	c.withinShares(t)
	c.inspectQuiet(t)
}

// TestResizing: while shares come and go at random, with readers, writers and pins, nobody holds more than he may, and what is
// counted is what is held.
func TestResizing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxBytes: 8 << 20})
	apps := []*Cachelet{c.Main(), c.app(t, "one"), c.app(t, "two")}
	for i := range 400 {
		put(t, s, kvs.Key(fmt.Sprint(i)), make([]byte, 1<<(i%15)))
	}
	var wg sync.WaitGroup
	const workers, steps = 4, 4000
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for i := range steps {
				key := kvs.Key(fmt.Sprint(rng.IntN(400)))
				switch l := apps[rng.IntN(len(apps))]; {
				case i%50 == 0:
					r, err := c.Begin(SessionConfig{Run: fmt.Sprint(w, i), Level: kvs.RepeatableRead, App: l.app})
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = r.Get(t.Context(), key) // there may be no room
					r.Abort()
				case i%10 == 0:
					put(t, s, key, make([]byte, 1<<rng.IntN(16)))
				default:
					if _, err := l.Get(t.Context(), key); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	rng := rand.New(rand.NewPCG(seed, 99))
	for quiet := false; !quiet; {
		c.cachelets.share(rng.Int64N(c.limits.soft))
		if b := c.Stats().Bytes; b > c.limits.hard {
			t.Errorf("%d bytes are held of %d", b, c.limits.hard)
		}
		select {
		case <-done:
			quiet = true
		case <-time.After(time.Millisecond):
		}
	}
	settle(t, s, c)
	c.decided()
	c.cachelets.share(c.limits.soft / 3)
	var sum int64
	for _, a := range c.AppStats() {
		sum += a.Bytes
	}
	if sum > c.limits.soft/3+c.limits.soft/20 {
		t.Errorf("%d bytes are held of %d", sum, c.limits.soft/3)
	}
	c.withinShares(t)
	c.inspectQuiet(t)
}

// TestPressure: memory that the process runs short of is given back at once, and taken again little by little.
func TestPressure(t *testing.T) { synctest.Test(t, testPressure) }

func testPressure(t *testing.T) {
	const maxBytes = 16 << 20
	ample := reuse.Memory{Limit: 1 << 40}
	var now atomic.Pointer[reuse.Memory]
	now.Store(&ample)
	c := startWith(t, Config{Store: endless(1024), MaxBytes: maxBytes, memory: func() reuse.Memory { return *now.Load() }})
	for i := range 20_000 {
		read1(t, c.Main(), fmt.Sprint(i))
		if i%1000 == 0 {
			synctest.Wait()
		}
	}
	full := c.Stats().Bytes
	if full < c.limits.soft/2 {
		t.Fatalf("%d bytes are held of %d", full, c.limits.soft)
	}
	// So much more is in use than there is.
	const over = 6 << 20
	now.Store(&reuse.Memory{Limit: 1 << 30, InUse: 1<<30 - memoryReserve() + over, Cached: full, Collections: 1})
	time.Sleep(resizeEvery)
	synctest.Wait()
	short := c.Stats().Bytes
	if short > full-over || short < full-2*over {
		t.Fatalf("%d bytes are held, and were %d before %d had to be given back", short, full, over)
	}
	if _, err := c.Get(t.Context(), "still served"); err != nil {
		t.Fatal(err)
	}
	now.Store(&ample)
	before := c.Shares()[""]
	time.Sleep(2 * reuse.DefaultEvery)
	synctest.Wait()
	if got := c.Shares()[""]; got <= before || got > before+before/3 {
		t.Fatalf("it may hold %d bytes a moment after %d", got, before)
	}
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	if got := c.Shares()[""]; got < c.limits.soft-c.limits.soft/50 {
		t.Fatalf("it may hold %d bytes of %d when there is memory again", got, c.limits.soft)
	}
	c.inspect(t)
}
