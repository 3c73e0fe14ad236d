package coded

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
)

// TestChaos puts and gets objects while lenders are killed, stopped, slowed, made to send wrong bytes, drained, and take
// their memory back. No Get gives a wrong byte, a value that was overwritten before it began, or one whose Put has failed;
// and no object is missed of which d columns are held. In the end, when all is well again, what has not been lost is whole.
//
// SQUALL_CHAOS=10m goes on with new seeds for so long; SQUALL_SEED=n repeats one round.
func TestChaos(t *testing.T) {
	until := time.Now()
	if s := os.Getenv("SQUALL_CHAOS"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		until = until.Add(d)
	}
	seed := rand.Uint64() >> 1
	if s := os.Getenv("SQUALL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		until = time.Now()
	}
	for {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { chaos(t, seed) }) || !time.Now().Before(until) {
			return
		}
		seed++
	}
}

const (
	chaosLenders = 10
	chaosWriters = 4
	chaosKeys    = 3 // of each writer
	chaosReaders = 3
	chaosHarms   = 20 // of one round
	chaosSettle  = 30 * time.Second
)

// contents are what one key has had, by numbers that count up. One writer owns a key.
type contents struct {
	key  string
	size [1 << 12]atomic.Int64 // by number

	begun atomic.Uint64 // the last that was begun
	acked atomic.Uint64 // the last that was acknowledged
	mu    sync.Mutex    // guards what follows
	never map[uint64]bool
}

// make draws the content with a number.
func (c *contents) make(n uint64, size int) []byte {
	b := make([]byte, size)
	var seed [32]byte
	copy(seed[8:], c.key)
	binary.LittleEndian.PutUint64(seed[:], n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	binary.LittleEndian.PutUint64(b, n)
	return b
}

// check tells what is wrong with what a Get gave that began when low was acknowledged; "" for nothing.
func (c *contents) check(b []byte, low, high uint64) string {
	if len(b) < 8 {
		return fmt.Sprintf("%d bytes, which nobody has put", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n < low || n > high {
		return fmt.Sprintf("content %d, and %d was acknowledged before and %d is the newest", n, low, high)
	}
	c.mu.Lock()
	failed := c.never[n]
	c.mu.Unlock()
	if failed {
		return fmt.Sprintf("content %d, whose Put has failed", n)
	}
	if int64(len(b)) != c.size[n].Load() || !bytes.Equal(b, c.make(n, len(b))) {
		return fmt.Sprintf("%d bytes that are not content %d", len(b), n)
	}
	return ""
}

// turmoil is one round.
type turmoil struct {
	*world
	setup setup
	rng   *rand.Rand
	all   []*contents

	mu   sync.Mutex // guards w.lenders and live
	live []*node

	gets, hits, missed, refused, puts, failed atomic.Int64
	harms                                     map[string]int
}

func chaos(t *testing.T, seed uint64) {
	c := &turmoil{rng: rand.New(rand.NewPCG(seed, 0)), harms: map[string]int{}}
	c.setup = setup{
		bytes: []int64{6 << 20, 64 << 20}[c.rng.IntN(2)], // few have room for all
		beat:  100 * time.Millisecond, keep: true, scan: time.Second, proxied: true, stall: 500 * time.Millisecond, grace: 2 * time.Second,
	}
	c.world = newWorld(t, c.setup)
	for range chaosLenders {
		c.begin()
	}
	c.eventually("all lend", func() bool { return len(c.tier.Lenders()) == chaosLenders })
	for i := range chaosWriters * chaosKeys {
		c.all = append(c.all, &contents{key: fmt.Sprint("k", i), never: map[uint64]bool{}})
	}
	var work sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	for i := range chaosWriters {
		rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
		work.Go(func() { c.write(ctx, rng, c.all[i*chaosKeys:(i+1)*chaosKeys]) })
	}
	for i := range chaosReaders {
		rng := rand.New(rand.NewPCG(seed, uint64(200+i)))
		work.Go(func() {
			for ctx.Err() == nil {
				c.read(ctx, c.all[rng.IntN(len(c.all))])
			}
		})
	}
	for range chaosHarms {
		if t.Failed() {
			break
		}
		c.harm()
	}
	end()
	work.Wait()
	c.settle()
	t.Logf("%d puts, %d of them failed; %d gets: %d hits, %d misses of what was lost, %d refused; harms %v; %+v",
		c.puts.Load(), c.failed.Load(), c.gets.Load(), c.hits.Load(), c.missed.Load(), c.refused.Load(), c.harms, c.tier.Stats())
}

// begin starts a lender.
func (c *turmoil) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = append(c.live, c.lend(c.setup))
}

// part takes a lender from the live.
func (c *turmoil) part() *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.rng.IntN(len(c.live))
	n := c.live[i]
	c.live = append(c.live[:i:i], c.live[i+1:]...)
	return n
}

// harm does one thing to one lender or a few, and undoes it.
func (c *turmoil) harm() {
	ways := []string{"kill", "stop", "slow", "corrupt", "garbage", "endless", "reclaim", "shrink", "drain", "several", "storm"}
	way := ways[c.rng.IntN(len(ways))]
	c.harms[way]++
	pause := func(least, most int) { // what happens in the meantime is what the test is about
		timer := time.NewTimer(time.Duration(least+c.rng.IntN(most-least)) * time.Millisecond)
		defer timer.Stop()
		<-timer.C
	}
	switch way {
	case "kill", "several":
		for range map[string]int{"kill": 1, "several": 2}[way] {
			c.part().kill()
		}
		pause(20, 150)
		for range map[string]int{"kill": 1, "several": 2}[way] {
			c.begin()
		}
	case "drain":
		n := c.part()
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		_ = n.Drain(ctx) // of lenders without room it leaves some behind
		cancel()
		n.stop()
		c.begin()
	case "reclaim", "shrink":
		c.mu.Lock()
		n := c.live[c.rng.IntN(len(c.live))]
		c.mu.Unlock()
		if way == "reclaim" {
			n.Lend(0)
			if s := n.Stats(); s.Used-s.Pinned != 0 {
				c.t.Errorf("%+v after all was taken back", s)
			}
		} else {
			n.Lend(c.setup.bytes / 4)
		}
		pause(20, 150)
		n.Lend(c.setup.bytes)
	case "storm": // half of them at once: what that loses is lost
		c.mu.Lock()
		some := slices.Clone(c.live)
		c.mu.Unlock()
		c.rng.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		for _, n := range some[:len(some)/2] {
			n.Lend(0)
		}
		pause(50, 200)
		for _, n := range some[:len(some)/2] {
			n.Lend(c.setup.bytes)
		}
	default:
		c.mu.Lock()
		n := c.live[c.rng.IntN(len(c.live))]
		c.mu.Unlock()
		n.proxy.set(way)
		pause(50, 300)
		n.proxy.set("")
	}
	pause(5, 60)
}

// write puts new contents until ctx ends.
func (c *turmoil) write(ctx context.Context, rng *rand.Rand, own []*contents) {
	codes := []layout.Code{{}, {}, four2, {Data: 2, Parity: 1}, {Data: 1, Parity: 2}, {Data: 3, Parity: 3}}
	for ctx.Err() == nil && !c.t.Failed() {
		k := own[rng.IntN(len(own))]
		n := k.begun.Load() + 1
		if n >= uint64(len(k.size)) {
			return
		}
		size := 8 + rng.IntN([]int{100, 100_000, 1_000_000, 3_000_000}[rng.IntN(4)])
		k.size[n].Store(int64(size))
		b := k.make(n, size)
		k.begun.Store(n)
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := c.tier.PutBytes(one, k.key, b, PutOptions{Code: codes[rng.IntN(len(codes))]})
		cancel()
		c.puts.Add(1)
		switch {
		case err == nil:
			k.acked.Store(n)
		case fault.Is(err, fault.OutcomeUnknown):
			c.failed.Add(1)
		default:
			k.mu.Lock()
			k.never[n] = true
			k.mu.Unlock()
			c.failed.Add(1)
		}
	}
}

// read gets one object and holds it against what was put.
func (c *turmoil) read(ctx context.Context, k *contents) {
	low := k.acked.Load()
	before, err := c.tier.catalog.current(c.t.Context(), k.key)
	if err != nil {
		c.t.Errorf("the catalog: %v", err)
		return
	}
	one, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b, _, err := c.tier.GetBytes(one, k.key, 0)
	c.gets.Add(1)
	switch {
	case err == nil:
		c.hits.Add(1)
		if wrong := k.check(b, low, k.begun.Load()); wrong != "" {
			c.t.Errorf("get %s gave %s", k.key, wrong)
		}
	case ctx.Err() != nil, low == 0: // the round is over, or nothing was there
	case fault.Is(err, fault.NotFound):
		c.missed.Add(1)
		after, e := c.tier.catalog.current(c.t.Context(), k.key)
		if e != nil || after.Version == nil || before.Version == nil || after.version() != before.version() {
			return // nobody can say what was there
		}
		if have := c.columns(after); have >= after.Data {
			c.t.Errorf("get %s missed an object of which %d of %d columns are held, and %d are enough: %v", k.key, have, after.shape.Width(), after.Data, err)
		}
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.DeadlineExceeded): // of lenders that do not answer
		c.refused.Add(1)
	default:
		c.t.Errorf("get %s: %v", k.key, err)
	}
}

// columns counts what lenders that live hold whole of an object, by where the catalog says it is.
func (c *turmoil) columns(o *object) (have int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := o.version()
	for column, holder := range o.Holders {
		want := o.shape.Column(column)
		if want == 0 {
			have++
			continue
		}
		for _, n := range c.live {
			if n.ID() != holder {
				continue
			}
			for _, h := range n.memory.Held(&v) {
				if int(h.Column) == column && h.Bytes == want {
					have++
				}
			}
		}
	}
	return have
}

// settle holds what is left, once nothing is harmed any more: it is whole, and it is what was put last.
func (c *turmoil) settle() {
	lost := 0
	for _, k := range c.all {
		if k.acked.Load() == 0 {
			continue
		}
		var last string
		late := time.Now().Add(chaosSettle)
		for ok := false; !ok; {
			if c.t.Failed() {
				return
			}
			if time.Now().After(late) {
				c.t.Fatalf("%s is not whole %v after the last harm: %s", k.key, chaosSettle, last)
			}
			o, err := c.tier.catalog.current(c.t.Context(), k.key)
			if err != nil {
				c.t.Fatal(err)
			}
			have := c.columns(o)
			switch b, _, err := c.tier.GetBytes(c.t.Context(), k.key, 0); {
			case err == nil:
				if wrong := k.check(b, k.acked.Load(), k.begun.Load()); wrong != "" {
					c.t.Fatalf("in the end %s has %s", k.key, wrong)
				}
				last = fmt.Sprintf("%d of %d columns", have, o.shape.Width())
				ok = have == o.shape.Width() || c.setup.bytes < 16<<20 // where memory is short not all finds room
			case fault.Is(err, fault.NotFound) && have < o.Data:
				lost++
				ok = true
			default:
				last = err.Error()
				timer := time.NewTimer(10 * time.Millisecond)
				<-timer.C
			}
		}
	}
	for _, n := range c.live {
		if s := n.Stats(); s.Resident > s.Limit+s.Pinned {
			c.t.Errorf("a lender has more than it lends: %+v", s)
		}
	}
	c.t.Logf("%d of %d objects had lost more than their parity", lost, len(c.all))
}
