package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
)

// tape notes what one subscription receives. In a bubble synctest.Wait makes it complete.
type tape struct {
	mu  sync.Mutex
	got []string
}

func record(t *testing.T, b bus.Bus, pattern string) *tape {
	t.Helper()
	var r tape
	if _, err := b.Subscribe(pattern, "", func(m bus.Msg) {
		r.mu.Lock()
		defer r.mu.Unlock()
		s := string(m.Data)
		if m.NoResponders {
			s = "no responders"
		}
		r.got = append(r.got, s)
	}); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	return &r
}

// read gives what has come since the last read.
func (r *tape) read() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func (r *tape) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := r.read(); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func send(t *testing.T, b bus.Bus, subject, data string) {
	t.Helper()
	if err := b.Publish(bus.Msg{Subject: subject, Data: []byte(data)}); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// bubble runs test in virtual time on a network that is closed before the bubble ends.
func bubble(t *testing.T, o bus.Options, test func(t *testing.T, n *bus.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := bus.NewNetwork(o)
		defer func() {
			n.Close()
			if t.Failed() {
				t.Logf("network: %s", n.Options())
			}
		}()
		test(t, n)
	})
}

func numbers(from, to int) []string {
	var s []string
	for i := from; i < to; i++ {
		s = append(s, fmt.Sprint(i))
	}
	return s
}

func TestPartition(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, b, c := n.Join("a"), n.Join("b"), n.Join("c")
		atA, atB, atC := record(t, a, "x"), record(t, b, "x"), record(t, c, "x")
		n.Partition("a", "b")
		send(t, a, "x", "1")
		send(t, b, "x", "2")
		atA.want(t, "1")
		atB.want(t, "2")
		atC.want(t, "1", "2")
		if got := n.Count(bus.Cut); got != 2 {
			t.Errorf("%d messages cut, want 2", got)
		}
		n.Heal("b")
		n.PartitionOneWay("a", "b")
		send(t, a, "x", "3")
		send(t, b, "x", "4")
		atA.want(t, "3", "4")
		atB.want(t, "4")
		n.Heal()
		send(t, a, "x", "5")
		atB.want(t, "5")
	})
}

func TestIsolate(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, b := n.Join("a"), n.Join("b")
		atA, atB := record(t, a, "x"), record(t, b, "x")
		reconnects := make(chan string, 10)
		a.OnReconnect(func() { reconnects <- "a" })
		b.OnReconnect(func() { reconnects <- "b" })
		n.Isolate("a")
		send(t, a, "x", "lost, also to itself")
		send(t, b, "x", "1")
		atA.want(t)
		atB.want(t, "1")
		// A black hole answers nothing: not even that nobody is there.
		for _, from := range []bus.Bus{a, b} {
			subject := "x"
			if from == a {
				subject = "nobody"
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if _, err := from.Request(ctx, subject, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("request: %v, want the deadline", err)
			}
			cancel()
		}
		atB.read()
		n.Heal("b")
		synctest.Wait()
		if len(reconnects) != 0 {
			t.Error("a reconnect of nobody who was away")
		}
		n.Heal("a")
		if got := <-reconnects; got != "a" {
			t.Errorf("reconnect of %s", got)
		}
		synctest.Wait()
		if len(reconnects) != 0 {
			t.Error("more than one reconnect")
		}
		send(t, a, "x", "2")
		atA.want(t, "2")
		atB.want(t, "2")
	})
}

func TestDisconnect(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, b := n.Join("a"), n.Join("b")
		atA, atB := record(t, a, "to.a"), record(t, b, "to.b")
		reconnected := make(chan struct{})
		a.OnReconnect(func() { close(reconnected) })
		n.Disconnect("a")
		if _, err := b.Request(t.Context(), "to.a", nil); !errors.Is(err, bus.ErrNoResponders) {
			t.Errorf("request to the disconnected: %v, want no responders", err)
		}
		buf := []byte("1")
		if err := a.Publish(bus.Msg{Subject: "to.b", Data: buf}); err != nil {
			t.Fatalf("publish while disconnected: %v", err)
		}
		buf[0] = '?'
		send(t, a, "to.b", "2")
		atB.want(t)
		n.Heal("a")
		<-reconnected
		atB.want(t, "1", "2")
		send(t, b, "to.a", "3")
		atA.want(t, "3")

		n.Disconnect("a")
		large := make([]byte, a.MaxPayload())
		var err error
		for range 9 {
			if err = a.Publish(bus.Msg{Subject: "to.b", Data: large}); err != nil {
				break
			}
		}
		if !fault.Is(err, fault.Unreachable) {
			t.Errorf("publish past the buffer: %v, want unreachable", err)
		}
	})
}

func TestCrash(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, twin, b := n.Join("a"), n.Join("a"), n.Join("b")
		entered, release := make(chan struct{}), make(chan struct{})
		var calls int
		var after error
		if _, err := a.Subscribe("x", "", func(bus.Msg) {
			calls++
			close(entered)
			<-release
			after = a.Publish(bus.Msg{Subject: "from.the.dead"})
		}); err != nil {
			t.Fatal(err)
		}
		ghost := record(t, b, "from.the.dead")
		pending := make(chan error)
		go func() {
			_, err := twin.Request(t.Context(), "x", nil)
			pending <- err
		}()
		<-entered
		send(t, b, "x", "queued, and lost")
		n.Crash("a")
		if err := <-pending; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("request under way: %v, want closed", err)
		}
		if err := twin.Publish(bus.Msg{Subject: "x"}); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("publish: %v, want closed", err)
		}
		if _, err := b.Request(t.Context(), "x", nil); !errors.Is(err, bus.ErrNoResponders) {
			t.Errorf("request to the crashed: %v, want no responders", err)
		}
		close(release)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if calls != 1 || !errors.Is(after, bus.ErrClosed) {
			t.Errorf("%d handler calls, the running one's publish gave %v", calls, after)
		}
		ghost.want(t)
		again := n.Join("a")
		atA := record(t, again, "x")
		send(t, b, "x", "back")
		atA.want(t, "back")
	})
}

func TestRuleOfOneLinkAndSubject(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, b, c := n.Join("a"), n.Join("b"), n.Join("c")
		atB, atC := record(t, b, ">"), record(t, c, ">")
		stop := n.Inject(bus.Rule{From: "a", To: "b", Subject: "data.*", Drop: 1})
		send(t, a, "data.1", "1")
		send(t, a, "control.1", "2")
		send(t, c, "data.1", "3")
		atB.want(t, "2", "3")
		atC.want(t, "1", "2", "3")
		if got := n.Count(bus.Drop); got != 1 {
			t.Errorf("%d dropped, want 1", got)
		}
		stop()
		stop()
		send(t, a, "data.1", "4")
		atB.want(t, "4")
	})
}

func TestDelayKeepsOrder(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, b := n.Join("a"), n.Join("b")
		atB := record(t, b, ">")
		stop := n.Inject(bus.Rule{MinDelay: time.Second, MaxDelay: time.Minute})
		for i := range 100 {
			send(t, a, fmt.Sprintf("x.%d", i%3), fmt.Sprint(i))
		}
		stop()
		send(t, a, "x", "100") // without a delay of its own, behind those that have one
		time.Sleep(time.Second - 1)
		atB.want(t)
		time.Sleep(time.Minute)
		atB.want(t, numbers(0, 101)...)
		if got := n.Count(bus.Delay); got != 100 {
			t.Errorf("%d delayed, want 100", got)
		}
		start := time.Now()
		send(t, a, "x", "101")
		atB.want(t, "101")
		if d := time.Since(start); d != 0 {
			t.Errorf("a message after the rule's end took %v", d)
		}
	})
}

func TestDuplicate(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, b := n.Join("a"), n.Join("b")
		var got [][]byte
		if _, err := b.Subscribe("x", "", func(m bus.Msg) { got = append(got, m.Data); m.Data[0]++ }); err != nil {
			t.Fatal(err)
		}
		n.Inject(bus.Rule{To: "b", Duplicate: 1})
		send(t, a, "x", "1")
		synctest.Wait()
		if len(got) != 2 || string(got[0]) != "2" || string(got[1]) != "2" {
			t.Errorf("got %q, want two copies that share no memory", got)
		}
		// The answer to a request comes twice: the second has nobody to go to.
		n.Inject(bus.Rule{To: "a", Duplicate: 1})
		if _, err := b.Subscribe("ask", "", func(m bus.Msg) { _ = b.Publish(bus.Msg{Subject: m.Reply, Data: m.Data}) }); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if got, err := a.Request(t.Context(), "ask", []byte{byte(i)}); err != nil || got[0] != byte(i) {
				t.Fatalf("request %d: got %v, %v", i, got, err)
			}
		}
		synctest.Wait()
		if n.Count(bus.Duplicate) < 11 {
			t.Errorf("%d duplicates", n.Count(bus.Duplicate))
		}
	})
}

func TestReorder(t *testing.T) {
	bubble(t, bus.Options{Seed: 7}, func(t *testing.T, n *bus.Network) {
		a, b := n.Join("a"), n.Join("b")
		atB := record(t, b, "x")
		n.Inject(bus.Rule{Reorder: 0.3})
		for i := range 100 {
			send(t, a, "x", fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		got := atB.read()
		if slices.Equal(got, numbers(0, 100)) {
			t.Error("nothing was reordered")
		}
		if n.Count(bus.Reorder) == 0 {
			t.Error("no reordering counted")
		}
		slices.Sort(got)
		want := numbers(0, 100)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got %v: something was lost or doubled", got)
		}
	})
}

// TestReplay: the same seed gives the same fates, whatever happens on other links meanwhile.
func TestReplay(t *testing.T) {
	run := func(seed uint64, noise bool) (events []string) {
		bubble(t, bus.Options{Seed: seed, OnFault: func(e bus.FaultEvent) {
			if e.From == "a" {
				events = append(events, fmt.Sprint(e))
			}
		}}, func(t *testing.T, n *bus.Network) {
			a, b, c := n.Join("a"), n.Join("b"), n.Join("c")
			record(t, b, "x.*")
			n.Inject(bus.Rule{Drop: 0.2, Duplicate: 0.2, Reorder: 0.2, MaxDelay: time.Second})
			for i := range 200 {
				if noise {
					send(t, c, "x.noise", "")
				}
				send(t, a, fmt.Sprintf("x.%d", i), "")
			}
			time.Sleep(time.Minute)
		})
		return events
	}
	first := run(42, false)
	if len(first) < 200 {
		t.Fatalf("%d events only", len(first))
	}
	if !slices.Equal(first, run(42, true)) {
		t.Error("the same seed gave other faults")
	}
	if slices.Equal(first, run(43, false)) {
		t.Error("another seed gave the same faults")
	}
}

func TestOverflow(t *testing.T) {
	var over []bus.FaultEvent
	bubble(t, bus.Options{QueueLimit: 3, OnFault: func(e bus.FaultEvent) { over = append(over, e) }}, func(t *testing.T, n *bus.Network) {
		a, b := n.Join("a"), n.Join("b")
		entered, release := make(chan struct{}, 10), make(chan struct{})
		var got []string
		if _, err := b.Subscribe("x", "", func(m bus.Msg) {
			entered <- struct{}{}
			<-release
			got = append(got, string(m.Data))
		}); err != nil {
			t.Fatal(err)
		}
		send(t, a, "x", "0")
		<-entered
		for i := 1; i < 6; i++ {
			send(t, a, "x", fmt.Sprint(i))
		}
		close(release)
		synctest.Wait()
		if !slices.Equal(got, numbers(0, 4)) || n.Count(bus.Overflow) != 2 || len(over) != 2 || over[0] != (bus.FaultEvent{Kind: bus.Overflow, From: "a", To: "b", Subject: "x"}) {
			t.Errorf("got %v, %d lost, events %v", got, n.Count(bus.Overflow), over)
		}
	})
}

// TestLongBacklog makes a queue grow, shrink and wrap.
func TestLongBacklog(t *testing.T) {
	bubble(t, bus.Options{}, func(t *testing.T, n *bus.Network) {
		a, b := n.Join("a"), n.Join("b")
		step := make(chan struct{})
		var got []string
		if _, err := b.Subscribe("x", "", func(m bus.Msg) { <-step; got = append(got, string(m.Data)) }); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for round := range 50 {
			for range round % 7 * 3 {
				send(t, a, "x", fmt.Sprint(sent))
				sent++
			}
			synctest.Wait()
			for range min(10, sent-len(got)) {
				step <- struct{}{}
				synctest.Wait()
			}
		}
		close(step)
		synctest.Wait()
		if !slices.Equal(got, numbers(0, sent)) {
			t.Errorf("got %v, want 0 to %d in order", got, sent)
		}
	})
}

func TestClosedNetwork(t *testing.T) {
	n := network(t, bus.Options{})
	n.Close()
	if err := n.Join("late").Publish(bus.Msg{Subject: "x"}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish on a closed network: %v, want closed", err)
	}
}

func TestOptionsShowTheSeed(t *testing.T) {
	if got := network(t, bus.Options{Seed: 77}).Options().String(); !strings.Contains(got, "seed=77") {
		t.Errorf("got %s", got)
	}
	if network(t, bus.Options{}).Options().Seed == 0 {
		t.Error("no seed was picked")
	}
}

func TestBadRules(t *testing.T) {
	n := network(t, bus.Options{})
	for _, r := range []bus.Rule{{Drop: -0.1}, {Duplicate: 1.1}, {MinDelay: 2, MaxDelay: 1}, {MinDelay: -1}, {Subject: "a..b"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("rule %+v was taken", r)
				}
			}()
			n.Inject(r)
		}()
	}
}
