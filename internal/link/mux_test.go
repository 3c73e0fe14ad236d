package link_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/link"
	"github.com/squall-faas/squall/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one life of a node with its inbox.
type node struct {
	*link.Mux
	wire.Peer
	bus bus.Bus

	mu   sync.Mutex
	got  map[wire.Peer][]uint64 // numbers of the messages that came
	lost []wire.Peer
}

// TestClockTravels: whatever the wall clocks say, a message is handled later than all that its sender had stamped before; a clock
// that is wrong by far is not followed.
func TestClockTravels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := bus.NewNetwork(bus.Options{})
		defer net.Close()
		const hour = time.Hour
		for _, tc := range []struct {
			name    string
			ahead   time.Duration
			follows bool
		}{{"level", 0, true}, {"ahead", 300 * time.Millisecond, true}, {"behind", -hour, true}, {"wrong", hour, false}} {
			theirs := hlc.New(1, func() time.Time { return time.Now().Add(tc.ahead) })
			mine := hlc.New(2, nil)
			var got hlc.Stamp
			open := func(name string, c *hlc.Clock, handle func(wire.Peer, []byte)) *link.Mux {
				m, err := link.New(link.Config{
					Bus: net.Join(name), Subjects: wire.In("test"), Self: wire.Peer{Name: name, Incarnation: 1}, Handle: handle, Clock: c,
				})
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			from, to := "from-"+tc.name, "to-"+tc.name
			receiver := open(to, mine, func(wire.Peer, []byte) { got = mine.Now() })
			sender := open(from, theirs, func(wire.Peer, []byte) {})
			before := theirs.Now()
			if err := sender.Send(wire.Peer{Name: to, Incarnation: 1}, &wire.Release{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got == (hlc.Stamp{}) || got.Compare(before) > 0 != tc.follows {
				t.Errorf("%s: sent after %v, handled at %v", tc.name, before, got)
			}
			sender.Close()
			receiver.Close()
		}
	})
}

// join starts a node; all that it starts ends with the test.
func join(t *testing.T, net *bus.Network, name string, incarnation uint64) *node {
	t.Helper()
	n := &node{Peer: wire.Peer{Name: name, Incarnation: incarnation}, got: map[wire.Peer][]uint64{}, bus: net.Join(name)}
	var err error
	n.Mux, err = link.New(link.Config{
		Bus: n.bus, Subjects: wire.In("test"), Self: n.Peer,
		Handle: func(from wire.Peer, message []byte) {
			var m wire.Release
			if err := wire.Decode(message, &m); err != nil {
				t.Error(err)
				return
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			n.got[from] = append(n.got[from], binary.BigEndian.Uint64(m.Runs[0][:]))
		},
		Lost: func(p wire.Peer) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.lost = append(n.lost, p)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func number(i int) *wire.Release {
	var run id.Run
	binary.BigEndian.PutUint64(run[:], uint64(i))
	return &wire.Release{Runs: []id.Run{run}, Epochs: []uint32{1}}
}

func (n *node) send(t *testing.T, to wire.Peer, from, until int) {
	t.Helper()
	for i := from; i <= until; i++ {
		if err := n.Send(to, number(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// expect checks that exactly the messages 1 to count came from a peer, in order.
func (n *node) expect(t *testing.T, from wire.Peer, count int) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, m := range n.got[from] {
		if m != uint64(i+1) {
			t.Fatalf("%s got message %d of %s as number %d", n.Name, m, from.Name, i+1)
		}
	}
	if got := len(n.got[from]); got != count {
		t.Fatalf("%s got %d messages of %s, want %d", n.Name, got, from.Name, count)
	}
}

func (n *node) expectLost(t *testing.T, want ...wire.Peer) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if fmt.Sprint(n.lost) != fmt.Sprint(want) {
		t.Fatalf("%s lost %v, want %v", n.Name, n.lost, want)
	}
}

// network gives one that closes after the nodes of the test.
func network(t *testing.T, o bus.Options) *bus.Network {
	t.Helper()
	net := bus.NewNetwork(o)
	t.Logf("network %v", net.Options())
	t.Cleanup(net.Close)
	return net
}

func TestManyOverAFaultyNetwork(t *testing.T) {
	const count = 5000
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		net.Inject(bus.Rule{Drop: 0.2, Duplicate: 0.2, Reorder: 0.2})
		a, b := join(t, net, "a", 1), join(t, net, "b", 7)
		var work sync.WaitGroup
		for _, way := range [][2]*node{{a, b}, {b, a}} {
			work.Go(func() { way[0].send(t, way[1].Peer, 1, count) })
		}
		work.Wait()
		for _, n := range []*node{a, b} {
			if !n.Flush(time.Now().Add(24 * time.Hour)) {
				t.Error("not everything is acknowledged after a day")
			}
		}
		synctest.Wait()
		a.expect(t, b.Peer, count)
		b.expect(t, a.Peer, count)
		a.expectLost(t)
		b.expectLost(t)
		for _, k := range []bus.FaultKind{bus.Drop, bus.Duplicate, bus.Reorder} {
			if net.Count(k) == 0 {
				t.Errorf("no fault of kind %v happened", k)
			}
		}
	})
}

func TestQuietLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		a.send(t, b.Peer, 1, 3)
		time.Sleep(time.Minute)
		a.send(t, b.Peer, 4, 5)
		synctest.Wait()
		b.expect(t, a.Peer, 5)
		if !a.Flush(time.Now().Add(11 * time.Millisecond)) {
			t.Error("an acknowledgement takes longer than its delay")
		}
		a.expectLost(t)
	})
}

// TestNobodyThere sends to a node whose inbox is gone: it is lost once, within a second, and messages to it go
// nowhere without an error.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		a.send(t, b.Peer, 1, 2)
		synctest.Wait()
		net.Crash("b")
		a.send(t, b.Peer, 3, 4)
		time.Sleep(500 * time.Millisecond)
		a.expectLost(t)
		time.Sleep(500 * time.Millisecond)
		a.expectLost(t, b.Peer)
		a.send(t, b.Peer, 5, 6)
		time.Sleep(time.Minute)
		a.expectLost(t, b.Peer)
		b.expect(t, a.Peer, 2)
	})
}

// TestShortOutage has a node gone for less than a reconnect takes: nothing is lost.
func TestShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		net.Disconnect("b")
		a.send(t, b.Peer, 1, 10)
		time.Sleep(250 * time.Millisecond)
		net.Heal("b")
		time.Sleep(time.Second)
		b.expect(t, a.Peer, 10)
		a.expectLost(t)
	})
}

// TestBlackHole has a network that swallows everything without a word.
func TestBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		net.Isolate("b")
		a.send(t, b.Peer, 1, 10)
		b.send(t, a.Peer, 1, 10)
		time.Sleep(3900 * time.Millisecond)
		a.expectLost(t)
		time.Sleep(200 * time.Millisecond)
		a.expectLost(t, b.Peer)
		net.Heal()
		time.Sleep(time.Minute)
		b.expectLost(t, a.Peer) // it cannot tell that it was the one cut off
		a.expect(t, b.Peer, 0)
		b.expect(t, a.Peer, 0)
	})
}

// TestLostQuestion loses what a node asks itself before it says that another is gone: one lost message is not a lost
// connection, and three are.
func TestLostQuestion(t *testing.T) {
	for _, c := range []struct {
		lasts time.Duration
		lost  int
	}{{500 * time.Millisecond, 1}, {1500 * time.Millisecond, 0}} {
		synctest.Test(t, func(t *testing.T) {
			net := network(t, bus.Options{})
			a, b := join(t, net, "a", 1), join(t, net, "b", 2)
			net.Isolate("b")
			a.send(t, b.Peer, 1, 1)
			time.Sleep(3900 * time.Millisecond)
			stop := net.Inject(bus.Rule{Subject: wire.In("test").Ping("a"), Drop: 1})
			time.Sleep(c.lasts)
			stop()
			time.Sleep(time.Second)
			a.expectLost(t, []wire.Peer{b.Peer}[:c.lost]...)
		})
	}
}

// TestAnotherLife has a node come back under its name: its earlier life is lost, once, and gets nothing any more.
func TestAnotherLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a := join(t, net, "a", 1)
		was := join(t, net, "b", 2)
		a.send(t, was.Peer, 1, 2)
		synctest.Wait()
		was.Close()
		is := join(t, net, "b", 3)
		a.send(t, was.Peer, 3, 4)
		time.Sleep(100 * time.Millisecond) // the answer comes from another life, no silence has to pass
		a.expectLost(t, was.Peer)
		a.send(t, is.Peer, 1, 2)
		time.Sleep(time.Minute)
		a.expectLost(t, was.Peer)
		was.expect(t, a.Peer, 2)
		is.expect(t, a.Peer, 2)
	})
}

// TestLateAcknowledgement has one of an earlier life come when its successor has not acknowledged anything yet: that
// says nothing of the successor. Nor does what the earlier life still sends.
func TestLateAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a := join(t, net, "a", 1)
		was := join(t, net, "b", 2)
		a.send(t, was.Peer, 1, 1)
		synctest.Wait()
		a.Forget(was.Peer)
		was.Close()
		is := join(t, net, "b", 3)
		net.Isolate("b")
		a.send(t, is.Peer, 1, 1)
		late := net.Join("late")
		for _, m := range []wire.Message{
			&wire.Ack{From: was.Peer, To: 1, Seq: 1},
			&wire.Frame{From: was.Peer, To: 1, Seq: 1, Message: wire.MustEncode(number(1))},
			&wire.Frame{From: wire.Peer{Name: "b", Incarnation: 1}, To: 1, Seq: 1, Message: wire.MustEncode(number(1))},
		} {
			if err := late.Publish(bus.Msg{Subject: wire.In("test").Node("a"), Data: wire.MustEncode(m)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		a.expectLost(t)
		a.expect(t, was.Peer, 0)
		a.expect(t, wire.Peer{Name: "b", Incarnation: 1}, 0)
		net.Heal()
		time.Sleep(time.Second)
		is.expect(t, a.Peer, 1)
		a.expectLost(t)
	})
}

// TestBothLives sends to a new life of a node before the earlier one was found dead: an answer of the new one is
// enough to know.
func TestBothLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a := join(t, net, "a", 1)
		was := join(t, net, "b", 2)
		was.Close()
		is := join(t, net, "b", 3)
		a.send(t, is.Peer, 1, 1)
		a.send(t, was.Peer, 1, 1)
		time.Sleep(100 * time.Millisecond)
		a.expectLost(t, was.Peer)
		is.expect(t, a.Peer, 1)
	})
}

// TestForget drops what is on the way: somebody else has found the peer dead, so Lost has nothing to tell.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		net.Isolate("b")
		a.send(t, b.Peer, 1, 10)
		a.Forget(b.Peer)
		net.Heal()
		b.send(t, a.Peer, 1, 1) // a zombie's
		a.send(t, b.Peer, 11, 11)
		time.Sleep(3 * time.Second)
		a.expect(t, b.Peer, 0)
		b.expect(t, a.Peer, 0)
		a.expectLost(t)
		if !a.Flush(time.Now()) {
			t.Error("something is still on the way")
		}
	})
}

// TestClose is idempotent, ends a Flush that waits, and refuses what comes after.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		net.Isolate("b")
		a.send(t, b.Peer, 1, 1)
		flushed := make(chan bool)
		go func() { flushed <- a.Flush(time.Now().Add(time.Hour)) }()
		time.Sleep(time.Second)
		a.Close()
		a.Close()
		if <-flushed {
			t.Error("everything is acknowledged by a node that is cut off")
		}
		if err := a.Send(b.Peer, number(2)); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("send after close: %v", err)
		}
		time.Sleep(time.Minute)
		a.expectLost(t)
	})
}

// TestTooLarge refuses what no frame can carry, and the link goes on.
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{MaxPayload: 4096})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		if err := a.Send(b.Peer, &wire.Release{Runs: make([]id.Run, 300)}); !fault.Is(err, fault.TooLarge) {
			t.Errorf("a message over the limit: %v", err)
		}
		a.send(t, b.Peer, 1, 1)
		time.Sleep(time.Minute)
		b.expect(t, a.Peer, 1)
		a.expectLost(t)
	})
}

// TestGarbage is refused, and the inbox goes on.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network(t, bus.Options{})
		a, b := join(t, net, "a", 1), join(t, net, "b", 2)
		c := net.Join("c")
		for _, data := range [][]byte{nil, {}, {1}, {9, 1, 0}, {1, 1}, {1, 2, 0xff}, {1, 3, 0xa0}, {1, 1, 0xa0}, {1, 2, 0xa0}} {
			if err := c.Publish(bus.Msg{Subject: wire.In("test").Node("b"), Data: data}); err != nil {
				t.Fatal(err)
			}
		}
		a.send(t, b.Peer, 1, 1)
		synctest.Wait()
		b.expect(t, a.Peer, 1)
	})
}

// TestPing answers without a link.
func TestPing(t *testing.T) {
	net := network(t, bus.Options{})
	b := join(t, net, "b", 2)
	c := net.Join("c")
	out, err := c.Request(t.Context(), wire.In("test").Ping("b"), wire.MustEncode(&wire.Ping{}))
	var p wire.Ping
	if err == nil {
		err = wire.Decode(out, &p)
	}
	if err != nil || p.From != b.Peer {
		t.Fatalf("ping: %+v, %v", p, err)
	}
}

func BenchmarkSend(b *testing.B) {
	net := bus.NewNetwork(bus.Options{})
	defer net.Close()
	subjects := wire.In("bench")
	got := make(chan struct{}, 1024)
	start := func(name string, handle func(wire.Peer, []byte)) *link.Mux {
		m, err := link.New(link.Config{Bus: net.Join(name), Subjects: subjects, Self: wire.Peer{Name: name, Incarnation: 1}, Handle: handle})
		if err != nil {
			b.Fatal(err)
		}
		return m
	}
	to := start("b", func(wire.Peer, []byte) { got <- struct{}{} })
	defer to.Close()
	from := start("a", func(wire.Peer, []byte) {})
	defer from.Close()
	msg := number(1)
	b.ReportAllocs()
	for b.Loop() {
		if err := from.Send(wire.Peer{Name: "b", Incarnation: 1}, msg); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}
