package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// town is a network with a store, in which executors have nothing but slots and a mailroom.
type town struct {
	t     testing.TB
	net   *bus.Network
	store kvs.Store
}

// newTown makes one whose nodes end with the test; the seed of its faults is shown where the test fails.
func newTown(t testing.TB, store kvs.Store) *town {
	net := bus.NewNetwork(bus.Options{})
	t.Cleanup(func() {
		net.Close()
		if t.Failed() {
			t.Logf("network: %s", net.Options())
		}
	})
	if store == nil {
		store = kvs.NewMemory()
	}
	return &town{t, net, store}
}

func (w *town) node(name string) *Executor {
	w.t.Helper()
	off, err := offload.New(offload.Config{Store: w.store})
	if err != nil {
		w.t.Fatal(err)
	}
	e := &Executor{
		cfg: Config{
			Name: name, Namespace: "ns", Bus: w.net.Join(name), Offload: off, Logger: slog.New(slog.DiscardHandler),
		},
		slots: newSlots(4, 100), self: wire.Peer{Name: name, Incarnation: 7},
	}
	if e.mail, err = newMailroom(e.cfg, e.incarnation); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(e.mail.close)
	return e
}

// starts an invocation that ends with ctx; it holds a slot, as a function does.
func (w *town) starts(ctx context.Context, e *Executor) *invocation {
	w.t.Helper()
	if err := e.slots.acquire(ctx); err != nil {
		w.t.Fatal(err)
	}
	return &invocation{Context: ctx, e: e, call: &call{run: id.NewRun(), invocation: dag.Invocation{Node: 3, Item: 2, Try: 1}}}
}

func send(t testing.TB, from *invocation, to string, x any) {
	t.Helper()
	if err := from.SendValue(to, value.MustOf(x)); err != nil {
		t.Fatalf("send %.20v: %v", x, err)
	}
}

// recv receives a T from an invocation.
func recv[T any](t testing.TB, i *invocation, from *invocation) T {
	t.Helper()
	sender, v, err := i.RecvValue()
	if err != nil {
		t.Fatal(err)
	}
	if sender != from.Address() {
		t.Fatalf("a message from %s, want one from %s", sender, from.Address())
	}
	x, err := value.As[T](v)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// waiting gives what is in an invocation's mailbox, and what it counts.
func waiting(i *invocation) (queue []message, count, bytes int) {
	i.box.mu.Lock()
	defer i.box.mu.Unlock()
	return slices.Clone(i.box.queue), i.box.count, i.box.bytes
}

// wantEmpty: nothing is in an invocation's mailbox, and nothing is counted.
func wantEmpty(t testing.TB, i *invocation) {
	t.Helper()
	if queue, count, bytes := waiting(i); len(queue) > 0 || count != 0 || bytes != 0 {
		t.Errorf("%d messages wait; %d of %d bytes are counted", len(queue), count, bytes)
	}
}

func wantCode(t testing.TB, err error, code fault.Code, says string) *fault.Error {
	t.Helper()
	if !fault.Is(err, code) || !strings.Contains(err.Error(), says) {
		t.Fatalf("gave %v, want %s with %q", err, code, says)
	}
	return fault.From(err)
}

func TestAddress(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := address{
			executor:    rapid.StringMatching(`[A-Za-z0-9_-]{1,128}`).Draw(rt, "executor"),
			incarnation: rapid.Uint64().Draw(rt, "incarnation"),
			run:         id.Run(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "run")),
			invocation: dag.Invocation{
				Node: rapid.IntRange(0, 1<<31).Draw(rt, "node"), Item: rapid.IntRange(0, 1<<31).Draw(rt, "item"),
				Try: rapid.IntRange(0, 1<<31).Draw(rt, "try"),
			},
			serial: rapid.Uint64().Draw(rt, "serial"),
		}
		if back, err := parseAddress(a.String()); err != nil || back != a {
			rt.Fatalf("%s is read as %+v, %v", a, back, err)
		}
	})
	good := address{executor: "e1", run: id.NewRun()}.String()
	for _, s := range []string{
		"", "e1", good + ".1", good[:len(good)-2], strings.Replace(good, "e1", "*", 1), strings.Replace(good, "e1", ">", 1),
		strings.Replace(good, "e1", "", 1), strings.Replace(good, "e1", "a b", 1), strings.ToUpper(good) + "0", " " + good,
		good + "\n", strings.Replace(good, ".0.", ".00.", 1), strings.Replace(good, ".0.", ".+0.", 1),
		strings.Replace(good, ".0.", ".-1.", 1), strings.Repeat(good, 100), "squall.ns.mail.e1",
	} {
		_, err := parseAddress(s)
		wantCode(t, err, fault.InvalidArgument, "no address")
		if len(err.Error()) > 1000 {
			t.Errorf("%d bytes that are no address give a message of %d", len(s), len(err.Error()))
		}
	}
}

// FuzzParseAddress: what is accepted has one form, and stands in a subject as one token.
func FuzzParseAddress(f *testing.F) {
	f.Add(address{executor: "e1", incarnation: 1 << 60, run: id.RunFromKey("s", "k"), serial: 9}.String())
	f.Add("e1.0.00000000-0000-0000-0000-000000000000.0.0.0.0")
	f.Add("*.0.00000000-0000-0000-0000-000000000000.0.0.0.0")
	f.Add("e1.-1.00000000-0000-0000-0000-000000000000.0.0.0.0")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			if !fault.Is(err, fault.InvalidArgument) {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		subject := wire.In("ns").Mail(a.executor)
		if a.String() != s || bus.CheckSubject(subject) != nil || strings.Count(subject, ".") != 3 || strings.ContainsAny(subject, "*>") {
			t.Fatalf("%q is taken for %+v, at %q", s, a, subject)
		}
	})
}

// TestSendHere: on one node a message is the value itself.
func TestSendHere(t *testing.T) {
	e := newTown(t, nil)
	n := e.node("a")
	from, to := e.starts(t.Context(), n), e.starts(t.Context(), n)
	type page struct{ Words []string }
	p := &page{Words: []string{"x"}}
	send(t, from, to.Address(), p)
	for i := range 100 {
		send(t, from, to.Address(), i)
	}
	if got := recv[*page](t, to, from); got != p {
		t.Error("the value was encoded on its way within the node")
	}
	for want := range 100 {
		if got := recv[int](t, to, from); got != want {
			t.Fatalf("message %d is %d", want, got)
		}
	}
	send(t, to, to.Address(), "to myself")
	if got := recv[string](t, to, to); got != "to myself" {
		t.Errorf("received %q", got)
	}
}

// TestSendThere: between nodes messages keep their order, whether they fit a message of the bus or not.
func TestSendThere(t *testing.T) {
	w := newTown(t, nil)
	from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
	large := strings.Repeat("x", 2*offload.DefaultThreshold)
	for i := range 100 {
		send(t, from, to.Address(), i)
		if i%10 == 0 {
			send(t, from, to.Address(), fmt.Sprint(i, large))
		}
	}
	for want := range 100 {
		if got := recv[int](t, to, from); got != want {
			t.Fatalf("message %d is %d", want, got)
		}
		if want%10 == 0 {
			if got := recv[string](t, to, from); got != fmt.Sprint(want, large) {
				t.Fatalf("the large message %d is %.20q…", want, got)
			}
		}
	}
	send(t, to, from.Address(), "thanks")
	if got := recv[string](t, from, to); got != "thanks" {
		t.Errorf("the answer is %q", got)
	}
	w.wantEmptyStore()
}

// wantEmptyStore waits until no value that has arrived, or that was refused, is left behind.
func (w *town) wantEmptyStore() {
	w.t.Helper()
	for until := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		page, err := w.store.List(context.Background(), offload.DefaultPrefix, "", 10)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page.Keys) == 0 {
			return
		}
		if time.Now().After(until) {
			w.t.Fatalf("the store still has %v", page.Keys)
		}
	}
}

func TestBounds(t *testing.T) {
	for _, where := range []string{"here", "there"} {
		t.Run(where, func(t *testing.T) {
			w := newTown(t, nil)
			n := w.node("a")
			from, to := w.starts(t.Context(), n), w.starts(t.Context(), n)
			if where == "there" {
				to = w.starts(t.Context(), w.node("b"))
			}
			for i := range mailboxMessages {
				send(t, from, to.Address(), i)
			}
			err := from.SendValue(to.Address(), value.MustOf(-1))
			if e := wantCode(t, err, fault.Overloaded, "1024 messages"); e.RetryAfter != mailRetry {
				t.Errorf("try again after %v, want %v", e.RetryAfter, mailRetry)
			}
			for want := range mailboxMessages {
				if got := recv[int](t, to, from); got != want {
					t.Fatalf("message %d is %d", want, got)
				}
				if want == 0 {
					send(t, from, to.Address(), mailboxMessages) // there is room for one
				}
			}
			recv[int](t, to, from)

			half := make([]byte, mailboxBytes/2-messageBytes-16)
			send(t, from, to.Address(), half)
			send(t, from, to.Address(), half)
			wantCode(t, from.SendValue(to.Address(), value.MustOf(half)), fault.Overloaded, "2 messages")
			recv[[]byte](t, to, from)
			send(t, from, to.Address(), half)
			wantCode(t, from.SendValue(to.Address(), value.MustOf(make([]byte, mailboxBytes))), fault.TooLarge, "send the key")
			recv[[]byte](t, to, from)
			recv[[]byte](t, to, from)
			wantEmpty(t, to)
			w.wantEmptyStore()
		})
	}
}

// TestReturned: nothing can be sent to what is not there any more, and the sender is told so.
func TestReturned(t *testing.T) {
	w := newTown(t, nil)
	a, b := w.node("a"), w.node("b")
	from := w.starts(t.Context(), a)
	refused := func(why, to string) {
		t.Helper()
		err := from.SendValue(to, value.MustOf(1))
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "has returned") {
			t.Errorf("%s: gave %v", why, err)
		}
	}
	for _, n := range []*Executor{a, b} {
		to := w.starts(t.Context(), n)
		send(t, from, to.Address(), "dropped")
		at, err := parseAddress(to.Address())
		if err != nil {
			t.Fatal(err)
		}
		at.incarnation--
		refused("another incarnation", at.String())
		at.incarnation++
		at.serial++
		refused("an invocation that never was", at.String())
		to.hangUp()
		refused("the function has returned", to.Address())
		_, _, err = to.RecvValue()
		wantCode(t, err, fault.Cancelled, "has returned")

		ctx, cancel := context.WithCancel(t.Context())
		to = w.starts(ctx, n)
		_ = to.Address()
		cancel()
		<-to.box.done
		refused("the run has ended", to.Address())
	}
	refused("no such executor", strings.Replace(w.starts(t.Context(), b).Address(), "b.", "c.", 1))
	if n := len(a.mail.boxes) + len(b.mail.boxes); n != 2 { // from's, and the one of which only the address was used
		t.Errorf("%d mailboxes are left", n)
	}
	b.mail.close()
	refused("the executor has closed", w.starts(t.Context(), b).Address())
	wantCode(t, from.SendValue("squall.>", value.MustOf(1)), fault.InvalidArgument, "no address")
}

// TestSenderEnded: a function whose time is up sends nothing, and gets the reason.
func TestSenderEnded(t *testing.T) {
	w := newTown(t, nil)
	n := w.node("a")
	ctx, end := context.WithCancelCause(t.Context())
	from, to := w.starts(ctx, n), w.starts(t.Context(), n)
	_ = to.Address()
	end(errReleased)
	if err := from.SendValue(to.Address(), value.MustOf(1)); !errors.Is(err, errReleased) {
		t.Errorf("gave %v", err)
	}
	wantEmpty(t, to)
}

// TestRecvGivesSlotBack, and takes one again when there is a message.
func TestRecvGivesSlotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, nil)
		n := w.node("a")
		from, to := w.starts(t.Context(), n), w.starts(t.Context(), n)
		wantBusy := func(want int, when string) {
			t.Helper()
			if busy, _ := n.slots.load(); busy != want {
				t.Errorf("%s %d slots are busy, want %d", when, busy, want)
			}
		}
		for k := range 3 {
			got := make(chan int)
			go func() { got <- recv[int](t, to, from) }()
			synctest.Wait()
			wantBusy(1, "while one of two functions waits for a message")
			send(t, from, to.Address(), k)
			if x := <-got; x != k {
				t.Errorf("received %d, want %d", x, k)
			}
			wantBusy(2, "when it has received one")
		}
		send(t, from, to.Address(), 3)
		recv[int](t, to, from)
		wantBusy(2, "when the message was there already")

		// Who comes back takes his turn like everybody else.
		got := make(chan int, 1)
		go func() { got <- recv[int](t, to, from) }()
		synctest.Wait()
		for range 3 {
			w.starts(t.Context(), n)
		}
		send(t, from, to.Address(), 4)
		synctest.Wait()
		if len(got) > 0 {
			t.Error("a function runs on without a slot")
		}
		n.slots.release()
		<-got
	})
}

// TestRecvEnds with its invocation.
func TestRecvEnds(t *testing.T) {
	w := newTown(t, nil)
	n := w.node("a")
	for name, tc := range map[string]struct {
		end  func(i *invocation, cancel context.CancelCauseFunc)
		code fault.Code
	}{
		"cancelled": {func(_ *invocation, cancel context.CancelCauseFunc) { cancel(errReleased) }, fault.Cancelled},
		"deadline":  {func(_ *invocation, cancel context.CancelCauseFunc) { cancel(context.DeadlineExceeded) }, fault.DeadlineExceeded},
		"returned":  {func(i *invocation, _ context.CancelCauseFunc) { i.hangUp() }, fault.Cancelled},
		"closed":    {func(i *invocation, _ context.CancelCauseFunc) { i.box.close() }, fault.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			i := w.starts(ctx, n)
			defer n.slots.release()
			_ = i.Address()
			ends := make(chan error)
			go func() {
				_, _, err := i.RecvValue()
				ends <- err
			}()
			tc.end(i, cancel)
			wantCode(t, <-ends, tc.code, "")
		})
	}
}

// sendWhenRoom sends again while the mailbox is full.
func sendWhenRoom(t *testing.T, from *invocation, to string, x int) {
	t.Helper()
	for {
		err := from.SendValue(to, value.MustOf(x))
		if err == nil {
			return
		}
		if !fault.Is(err, fault.Overloaded) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// TestManyReceivers: of an invocation's goroutines each message reaches one.
func TestManyReceivers(t *testing.T) {
	w := newTown(t, nil)
	n := w.node("a")
	from, to := w.starts(t.Context(), n), w.starts(t.Context(), n)
	const workers, messages = 8, 2000
	seen := make(chan int, messages)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				_, v, err := to.RecvValue()
				if err != nil {
					t.Error(err)
					return
				}
				k, _ := value.As[int](v)
				if k < 0 {
					return
				}
				seen <- k
			}
		})
	}
	for k := range messages {
		sendWhenRoom(t, from, to.Address(), k)
	}
	for range workers {
		sendWhenRoom(t, from, to.Address(), -1)
	}
	all.Wait()
	close(seen)
	sum, count := 0, 0
	for k := range seen {
		sum, count = sum+k, count+1
	}
	if count != messages || sum != messages*(messages-1)/2 {
		t.Errorf("%d messages were received, with the sum %d", count, sum)
	}
}

// TestTwoReceivers: two messages that come at once wake both who wait, though the mailbox has one token for them.
func TestTwoReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, nil)
		to := w.starts(t.Context(), w.node("a"))
		_ = to.Address()
		got := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := to.box.wait(t.Context())
				got <- err
			}()
		}
		synctest.Wait()
		to.box.mu.Lock()
		to.box.queue, to.box.count = append(to.box.queue, message{}, message{}), 2
		to.box.wakeOne()
		to.box.mu.Unlock()
		for range 2 {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestManySenders: an invocation's goroutines send to one receiver at the same time, on a network that mixes up what is
// under way; none of them overtakes another, which would be lost.
func TestManySenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, nil)
		from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
		w.net.Inject(bus.Rule{Reorder: 0.5})
		address := to.Address()
		const workers, each = 8, 20
		var all sync.WaitGroup
		for k := range workers {
			all.Go(func() {
				for range each {
					send(t, from, address, k)
				}
			})
		}
		all.Wait()
		for range workers * each {
			recv[int](t, to, from)
		}
		wantEmpty(t, to)
		if len(from.box.lanes) > 0 {
			t.Errorf("%d receivers are remembered to whom nobody sends", len(from.box.lanes))
		}
		// Whoever waits for his turn ends with the invocation.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		hasty := w.starts(ctx, from.e)
		w.net.Partition("a", "b")
		for range 2 {
			all.Go(func() {
				if err := hasty.SendValue(address, value.MustOf(1)); !fault.Is(err, fault.DeadlineExceeded) {
					t.Errorf("gave %v", err)
				}
			})
		}
		all.Wait()
	})
}

// TestRefusedTwice: a message that was refused stays refused when the transport brings it once more.
func TestRefusedTwice(t *testing.T) {
	w := newTown(t, nil)
	n := w.node("b")
	from, to := w.starts(t.Context(), n), w.starts(t.Context(), n)
	stranger := w.net.Join("a")
	for range mailboxMessages {
		send(t, from, to.Address(), 1)
	}
	mail := wire.MustEncode(&wire.Mail{From: "somebody", To: to.Address(), Seq: 1, Value: wire.Value{Inline: []byte{0}}})
	for range 2 {
		reply, err := stranger.Request(t.Context(), wire.In("ns").Mail("b"), mail)
		var mailed wire.Mailed
		if err == nil {
			err = wire.Decode(reply, &mailed)
		}
		if err != nil || mailed.Err == nil || mailed.Err.Code != fault.Overloaded || mailed.Err.RetryAfter != mailRetry {
			t.Errorf("answered %v, %v", mailed.Err, err)
		}
		for len(to.box.queue) > 0 {
			recv[int](t, to, from)
		}
	}
	wantEmpty(t, to)
}

// TestBroughtTwice: a message that the transport brings twice is delivered once, and answered both times alike.
func TestBroughtTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, nil)
		from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
		w.net.Inject(bus.Rule{Duplicate: 1})
		large := strings.Repeat("x", 2*offload.DefaultThreshold)
		for k := range 20 {
			send(t, from, to.Address(), k)
			send(t, from, to.Address(), fmt.Sprint(k, large))
		}
		synctest.Wait()
		for want := range 20 {
			if got := recv[int](t, to, from); got != want {
				t.Fatalf("message %d is %d", want, got)
			}
			recv[string](t, to, from)
		}
		wantEmpty(t, to)
	})
}

// TestLostAnswer: who does not hear whether a message has arrived is told so, and what he sends next arrives after it.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, nil)
		from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
		w.net.PartitionOneWay("b", "a")
		began := time.Now()
		wantCode(t, from.SendValue(to.Address(), value.MustOf(1)), fault.OutcomeUnknown, "in the mailbox or not")
		if took := time.Since(began); took != mailAnswer {
			t.Errorf("it took %v to give up, want %v", took, mailAnswer)
		}
		w.net.Heal()
		w.net.PartitionOneWay("a", "b")
		wantCode(t, from.SendValue(to.Address(), value.MustOf(2)), fault.OutcomeUnknown, "")
		w.net.Heal()
		send(t, from, to.Address(), 3)
		for _, want := range []int{1, 3} {
			if got := recv[int](t, to, from); got != want {
				t.Errorf("received %d, want %d", got, want)
			}
		}
		// The end of the sender's own time is another matter.
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, context.DeadlineExceeded)
		defer cancel()
		hasty := w.starts(ctx, from.e)
		w.net.PartitionOneWay("a", "b")
		wantCode(t, hasty.SendValue(to.Address(), value.MustOf(4)), fault.DeadlineExceeded, "")
	})
}

// TestOvertaken: a message that comes when its sender has given it up, and sent another, is dropped.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, nil)
		from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
		slow := w.net.Inject(bus.Rule{
			From: "a", Subject: wire.In("ns").Mail("b"), Reorder: 1, MinDelay: 2 * mailAnswer, MaxDelay: 2 * mailAnswer,
		})
		wantCode(t, from.SendValue(to.Address(), value.MustOf(1)), fault.OutcomeUnknown, "")
		slow()
		send(t, from, to.Address(), 2)
		time.Sleep(3 * mailAnswer) // of the bubble
		if got := recv[int](t, to, from); got != 2 {
			t.Errorf("received %d, want 2", got)
		}
		wantEmpty(t, to)
	})
}

// gated is a store whose reads wait while its gate is shut.
type gated struct {
	kvs.Store
	gate chan struct{}
}

func (g gated) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	select {
	case <-g.gate:
		return g.Store.Get(ctx, key)
	case <-ctx.Done():
		return kvs.Entry{}, ctx.Err()
	}
}

// TestOvertakenInFetch is TestOvertaken for a message whose value takes long to read.
func TestOvertakenInFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := gated{kvs.NewMemory(), make(chan struct{})}
		w := newTown(t, store)
		from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
		large := strings.Repeat("x", 2*offload.DefaultThreshold)
		wantCode(t, from.SendValue(to.Address(), value.MustOf(large)), fault.OutcomeUnknown, "")
		send(t, from, to.Address(), 2)
		close(store.gate)
		synctest.Wait()
		if got := recv[int](t, to, from); got != 2 {
			t.Errorf("received %d, want 2", got)
		}
		wantEmpty(t, to)
	})
}

// TestGoneInFetch: a function that returns while the value of its message is being read does not get it; the sender is
// told, and nothing is left behind. So it is where the executor closes, which waits for no store.
func TestGoneInFetch(t *testing.T) {
	for name, end := range map[string]func(to *invocation, store gated){
		"returned": func(to *invocation, store gated) { to.hangUp(); close(store.gate) },
		"closed":   func(to *invocation, _ gated) { to.e.mail.close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := gated{kvs.NewMemory(), make(chan struct{})}
				w := newTown(t, store)
				from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
				address := to.Address()
				sent := make(chan error)
				go func() { sent <- from.SendValue(address, value.MustOf(strings.Repeat("x", 2*offload.DefaultThreshold))) }()
				synctest.Wait()
				end(to, store)
				wantCode(t, <-sent, fault.NotFound, "has returned")
				synctest.Wait()
				wantEmpty(t, to)
				w.wantEmptyStore()
			})
		})
	}
}

// TestValueGone: a value that cannot be read is its sender's to send again; the message takes no room.
func TestValueGone(t *testing.T) {
	w := newTown(t, nil)
	to := w.starts(t.Context(), w.node("b"))
	bus := w.net.Join("a")
	data := wire.MustEncode(&wire.Mail{
		From: "somebody", To: to.Address(), Seq: 1, Value: wire.Value{Far: &wire.FarAway{Key: offload.DefaultPrefix + "gone", Size: 10}},
	})
	reply, err := bus.Request(t.Context(), wire.In("ns").Mail("b"), data)
	var mailed wire.Mailed
	if err == nil {
		err = wire.Decode(reply, &mailed)
	}
	if err != nil || mailed.Err == nil || mailed.Err.Code != fault.Unavailable {
		t.Errorf("answered %v, %v", mailed.Err, err)
	}
	wantEmpty(t, to)
}

// TestMailUnderFaults: whatever the network does, what was answered has arrived, what was refused has not, nothing has
// twice, and all in the order in which it was sent.
func TestMailUnderFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 0))
		w := newTown(t, nil)
		nodes := []*Executor{w.node("a"), w.node("b"), w.node("c")}
		w.net.Inject(bus.Rule{Drop: 0.05, Duplicate: 0.2, Reorder: 0.2, MinDelay: time.Millisecond, MaxDelay: 3 * mailAnswer})
		const functions, messages = 6, 40
		var all []*invocation
		for k := range functions {
			i := w.starts(t.Context(), nodes[k%len(nodes)])
			i.e.slots.release() // there are more functions here than slots, and RecvValue is not called
			_ = i.Address()
			all = append(all, i)
		}
		sent := make([][functions][]fault.Code, functions) // by sender and receiver
		var senders sync.WaitGroup
		for k, from := range all {
			rng := rand.New(rand.NewPCG(rng.Uint64(), 1))
			senders.Go(func() {
				for range messages {
					to := rng.IntN(functions)
					n := len(sent[k][to])
					x := any(n)
					if rng.IntN(8) == 0 {
						x = strings.Repeat("x", 2*offload.DefaultThreshold) + fmt.Sprint(n)
					}
					err := from.SendValue(all[to].Address(), value.MustOf(x))
					sent[k][to] = append(sent[k][to], fault.CodeOf(err))
				}
			})
		}
		senders.Wait()
		time.Sleep(time.Hour) // of the bubble: what was late has come
		for to, i := range all {
			var last [functions]int // the number after the last one received
			queue, _, _ := waiting(i)
			for _, m := range queue {
				from := -1
				for k, s := range all {
					if s.Address() == m.from {
						from = k
					}
				}
				n := numberIn(t, m.v)
				for lost := last[from]; lost < n; lost++ {
					if sent[from][to][lost] == "" {
						t.Errorf("message %d from %d to %d was answered and is not there", lost, from, to)
					}
				}
				if n < last[from] {
					t.Errorf("message %d from %d to %d came after message %d", n, from, to, last[from]-1)
				}
				if code := sent[from][to][n]; code != "" && code != fault.OutcomeUnknown {
					t.Errorf("message %d from %d to %d was refused as %s and is there", n, from, to, code)
				}
				last[from] = n + 1
			}
			for from := range all {
				for n := last[from]; n < len(sent[from][to]); n++ {
					if sent[from][to][n] == "" {
						t.Errorf("message %d from %d to %d was answered and is not there", n, from, to)
					}
				}
			}
		}
	})
}

// numberIn reads the number at the end of a message.
func numberIn(t *testing.T, v value.Value) (n int) {
	t.Helper()
	if n, err := value.As[int](v); err == nil {
		return n
	}
	s, err := value.As[string](v)
	if err == nil {
		_, err = fmt.Sscan(strings.TrimLeft(s, "x"), &n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMailGarbage: what is no message leaves everything as it was.
func TestMailGarbage(t *testing.T) {
	w := newTown(t, nil)
	from, to := w.starts(t.Context(), w.node("a")), w.starts(t.Context(), w.node("b"))
	subject := wire.In("ns").Mail("b")
	stranger := w.net.Join("stranger")
	for _, b := range [][]byte{
		nil, {1}, []byte("hello"), wire.MustEncode(&wire.Ping{}), wire.MustEncode(&wire.Mail{}),
		wire.MustEncode(&wire.Mail{To: to.Address(), Seq: 1}), // a value without a kind
		wire.MustEncode(&wire.Mail{To: to.Address(), Seq: 2, Value: wire.Value{Inline: []byte{99, 1}}}),
	} {
		if err := stranger.Publish(bus.Msg{Subject: subject, Data: b}); err != nil {
			t.Fatal(err)
		}
	}
	send(t, from, to.Address(), "sound")
	if got := recv[string](t, to, from); got != "sound" {
		t.Errorf("received %q", got)
	}
	wantEmpty(t, to)
}

func BenchmarkSend(b *testing.B) {
	for _, where := range []string{"here", "there"} {
		b.Run(where, func(b *testing.B) {
			w := newTown(b, nil)
			n := w.node("a")
			from, to := w.starts(b.Context(), n), w.starts(b.Context(), n)
			if where == "there" {
				to = w.starts(b.Context(), w.node("b"))
			}
			address, v := to.Address(), value.MustOf(make([]byte, 128))
			b.ReportAllocs()
			for b.Loop() {
				if err := from.SendValue(address, v); err != nil {
					b.Fatal(err)
				}
				if _, _, err := to.RecvValue(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
