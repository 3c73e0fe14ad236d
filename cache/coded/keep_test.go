package coded

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
)

var four2 = layout.Code{Data: 4, Parity: 2}

// whole waits until an object has all its columns on lenders that hold them.
func (w *world) whole(keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		w.eventually(key+" is whole", func() bool {
			s, err := w.tier.Stat(w.t.Context(), key)
			return err == nil && !slices.ContainsFunc(s.Shards, func(x Shards) bool { return x.State != "whole" })
		})
	}
}

// TestRepair: columns of a lender that died are rebuilt elsewhere by those who look after the keys; p more may go then.
func TestRepair(t *testing.T) {
	w := newWorld(t, setup{lenders: 9, keep: true})
	held := map[string][]byte{}
	for i := range 12 {
		key := fmt.Sprint("k", i)
		held[key] = random(i, 300_000+i)
		w.put(key, held[key], PutOptions{Code: four2})
	}
	for round := range 2 { // 9 lenders, 8, 7: still a place for each column
		w.lenders[round].kill()
		for key, b := range held {
			w.want(key, b) // right away
		}
		for key := range held {
			w.whole(key)
		}
	}
	for key, b := range held {
		w.want(key, b)
		for _, n := range w.lenders[:2] {
			if o, _ := w.tier.catalog.current(t.Context(), key); slices.Contains(o.Holders, n.ID()) {
				t.Fatalf("%s is with %s, which is dead", key, n.ID())
			}
		}
	}
}

// TestTakenBack: a lender whose node needs its memory gives it back at once; what it held is rebuilt on others.
func TestTakenBack(t *testing.T) {
	w := newWorld(t, setup{lenders: 8, keep: true})
	b := random(1, 900_000)
	w.put("k", b, PutOptions{Code: four2})
	n := w.holder("k", 2)
	n.Lend(0)
	if s := n.Stats(); s.Resident != 0 {
		t.Fatalf("%+v", s)
	}
	w.want("k", b)
	w.whole("k")
	w.want("k", b)
}

// TestDrain: a planned stop moves what the lender holds, refuses what is new, and loses nothing; a second drain has nothing
// to move. Puts go on meanwhile.
func TestDrain(t *testing.T) {
	w := newWorld(t, setup{lenders: 7})
	held := map[string][]byte{}
	for i := range 10 {
		key := fmt.Sprint("k", i)
		held[key] = random(i, 250_000+i)
		w.put(key, held[key], PutOptions{Code: four2})
	}
	n := w.lenders[0]
	var puts sync.WaitGroup
	stop := make(chan struct{})
	puts.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := w.tier.PutBytes(t.Context(), fmt.Sprint("while", i%3), random(i, 100_000), PutOptions{Code: four2}); err != nil {
				t.Errorf("put while a lender drains: %v", err)
				return
			}
		}
	})
	err := n.Drain(t.Context())
	close(stop)
	puts.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Drain(t.Context()); err != nil { // the last Put may have been under way
		t.Fatal(err)
	}
	for key := range held {
		if o, _ := w.tier.catalog.current(t.Context(), key); slices.Contains(o.Holders, n.ID()) {
			t.Errorf("%s is still with the lender that drains", key)
		}
	}
	n.stop()
	for key, b := range held {
		w.want(key, b)
		w.whole(key)
	}
	left := w.lenders[1:]
	for _, l := range left { // nobody has room: the last lenders cannot be drained, and say so
		l.draining.Store(true)
		l.announce(false)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := left[0].Drain(ctx); !fault.Is(err, fault.NoExecutor) {
		t.Fatal(err)
	}
}

// TestFleet: a lender is suspected half an interval after its heartbeat was due, dead when it does not answer, back when
// it is heard of, and gone for good once it has left.
func TestFleet(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := newFleet()
	l := &wire.Lender{ID: "a", Port: "a:1", Lent: 10, Every: int64(time.Second)}
	f.hear(l, start)
	after := func(d time.Duration) time.Time { return start.Add(d) }
	if got := f.sweep(after(1500 * time.Millisecond)); len(got) != 0 || len(f.takers(after(1500*time.Millisecond))) != 1 {
		t.Fatal("suspected too early")
	}
	if due := f.due(); due.After(after(1501 * time.Millisecond)) {
		t.Fatal(due)
	}
	late := after(1501 * time.Millisecond)
	if got := f.sweep(late); len(got) != 1 || len(f.takers(late)) != 0 || !f.alive("a") || !f.find([]string{"a"}, late)[0].quiet {
		t.Fatal("not suspected", got)
	}
	if f.sweep(late) != nil {
		t.Fatal("suspected twice")
	}
	if f.asked("a", true, late) || len(f.takers(late)) != 1 {
		t.Fatal("it has answered")
	}
	f.sweep(after(4 * time.Second))
	if !f.asked("a", false, after(4*time.Second)) || f.alive("a") || f.addr("a") != "a:1" {
		t.Fatal("it is dead, and may still be asked")
	}
	f.hear(l, after(5*time.Second))
	if !f.alive("a") || len(f.takers(after(5*time.Second))) != 1 {
		t.Fatal("it is back")
	}
	f.sweep(after(7 * time.Second))
	f.sweep(after(60 * time.Second))
	if f.addr("a") != "" {
		t.Fatal("not forgotten")
	}
	f.hear(l, after(61*time.Second))
	l.Left = true
	if !f.hear(l, after(61*time.Second)) {
		t.Fatal("it has left")
	}
	l.Left = false
	f.hear(l, after(62*time.Second))
	if f.alive("a") {
		t.Fatal("a late message has brought it back")
	}
}

// TestVanished: a lender that dies without a word is noticed within a heartbeat and a half, in virtual time. Its port refuses
// at once here; one that keeps silent is given up after the tier's stall.
func TestVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const beat = 500 * time.Millisecond
		w := newWorld(t, setup{lenders: 4, beat: beat, portless: true})
		died := make(chan string, 4)
		w.tier.onGone(func(l wire.Lender) { died <- l.ID })
		for i, after := range []time.Duration{0, beat / 2, beat - time.Millisecond} { // since its last heartbeat
			n := w.lenders[i]
			time.Sleep(beat - time.Since(w.began)%beat + after)
			synctest.Wait()
			killed := time.Now()
			n.kill()
			if id := <-died; id != n.ID() {
				t.Fatalf("%s is gone, and not %s", id, n.ID())
			}
			want := beat + beat/2 - after
			if took := time.Since(killed); took < want || took > want+2*time.Millisecond {
				t.Errorf("noticed after %v, %v after its last heartbeat: want %v", took, took+after, want)
			}
			if left := len(w.tier.Lenders()); left != 3-i {
				t.Fatalf("%d lenders are left after %d died", left, i+1)
			}
		}
	})
}

// TestWrongSecret: another namespace's client learns nothing and changes nothing.
func TestWrongSecret(t *testing.T) {
	w := newWorld(t, setup{lenders: 3})
	w.put("k", []byte("value"), PutOptions{})
	for what, change := range map[string]func(*Config){
		"secret":    func(c *Config) { c.Secret[0]++ },
		"namespace": func(c *Config) { c.Namespace = "other" },
	} {
		cfg := w.tier.cfg
		cfg.Bus = w.network.Join(what)
		change(&cfg)
		x, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range w.tier.Lenders() {
			x.fleet.hear(&l, time.Now())
		}
		if _, err := x.Get(t.Context(), "k", io.Discard); !fault.Is(err, fault.Unavailable) {
			t.Errorf("wrong %s: %v", what, err)
		}
		if err := x.conns.drop(t.Context(), w.lenders[0].Addr(), [16]byte{1}, -1); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("wrong %s: %v", what, err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	w.want("k", []byte("value"))
}
