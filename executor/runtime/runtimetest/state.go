package runtimetest

import (
	"context"
	"maps"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// testUpdates: every operation of a lattice reaches the Context as it was meant, and what it reads comes back.
func testUpdates(t *testing.T, h Harness) {
	c := within(t, time.Minute)
	got, err := value.As[[]string](call(t, h.Load(t, "updates", runtime.Limits{}), c, "k/"))
	if want := []string{"5 -2", "[] [b] [1 2]", "3 a"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("updates = %q, %v; want %q", got, err, want)
	}
	type shop struct {
		Name  string
		Sold  int
		Tags  []string
		Hours map[string]int
	}
	have, err := value.As[shop](call(t, h.Load(t, "updatesfield", runtime.Limits{}), c, "shop"))
	if want := (shop{"corner", 3, []string{"new"}, map[string]int{"mon": 8}}); err != nil || !reflect.DeepEqual(have, want) {
		t.Errorf("updatesfield = %+v, %v; want %+v", have, err, want)
	}
	wantFault(t, h, h.Load(t, "count", runtime.Limits{}), c, fault.WrongType, "k/set", 1)
	wantFault(t, h, h.Load(t, "addfield", runtime.Limits{}), c, fault.WrongType, "shop", "Name")
	wantFault(t, h, h.Load(t, "addfield", runtime.Limits{}), c, fault.InvalidArgument, "shop", "")
}

func testSiblings(t *testing.T, h Harness) {
	c := within(t, time.Minute)
	f := h.Load(t, "siblings", runtime.Limits{})
	wantFault(t, h, f, c, fault.NotFound, "k")
	if err := c.PutValue("k", value.MustOf(1), fn.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]int{{1}, {1, 3}, {1, 3, 2}} {
		got, err := value.As[[]int](call(t, f, c, "k"))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("siblings are %v, %v; want %v", got, err, want)
		}
		c.Concurrent("k", value.MustOf(4-len(want)))
	}
	c.Concurrent("k", value.MustOf("text"))
	wantFault(t, h, f, c, fault.WrongType, "k")
}

// testGetMany: what is there comes, what is not is left out, and the same key may be asked for twice.
func testGetMany(t *testing.T, h Harness) {
	f := h.Load(t, "getmany", runtime.Limits{})
	c := within(t, time.Minute)
	for key, x := range map[string]any{"a": 1, "b": 2, "text": "x"} {
		if err := c.PutValue(key, value.MustOf(x), fn.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, keys := range [][]string{{}, {"none"}, {"b"}, {"a", "none", "b", "a"}} {
		want := map[string]int{}
		for _, key := range keys {
			if x := map[string]int{"a": 1, "b": 2}[key]; x != 0 {
				want[key] = x
			}
		}
		got, err := value.As[map[string]int](call(t, f, c, keys))
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%v gives %v, %v; want %v", keys, got, err, want)
		}
	}
	wantFault(t, h, f, c, fault.WrongType, []string{"a", "text"})
}

func testPutWith(t *testing.T, h Harness) {
	f := h.Load(t, "putwith", runtime.Limits{})
	for _, o := range []fn.PutOptions{{}, {TTL: 90 * time.Second}, {Ack: "durable"}, {TTL: 1<<63 - 1, Ack: "of a later release"}} {
		c := within(t, time.Minute)
		got, err := value.As[string](call(t, f, c, "k", o.TTL, o.Ack))
		if err != nil || got != "v of k" || c.LastPut() != o {
			t.Errorf("with %+v: read %q, %v; written with %+v", o, got, err, c.LastPut())
		}
	}
}

// testMessages: two functions talk, each in a mailbox of its own, and each message is its receiver's alone.
func testMessages(t *testing.T, h Harness) {
	const rounds = 50
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, b := NewPair(ctx)
	answers, asks := h.Load(t, "answers", runtime.Limits{}), h.Load(t, "asks", runtime.Limits{})
	var all sync.WaitGroup
	all.Go(func() {
		v, err := answers.Invoke(b, []value.Value{value.MustOf(2 * rounds)})
		if s, _ := value.As[string](v); err != nil || s != "done" {
			t.Errorf("answers = %q, %v", s, err)
			cancel()
		}
	})
	v, err := asks.Invoke(a, []value.Value{value.MustOf(b.Address()), value.MustOf(rounds)})
	if n, _ := value.As[int](v); err != nil || n != rounds {
		t.Errorf("asks = %d, %v", n, err)
		cancel()
	}
	all.Wait()
}

func testMessageFaults(t *testing.T, h Harness) {
	c := within(t, time.Minute)
	sends := h.Load(t, "sends", runtime.Limits{})
	e := faultOf(t, h, sends, c, fault.NotFound, "e1.99", "hello")
	if want := `the function at "e1.99" has returned`; e.Message != want {
		t.Errorf("message is %q, want %q", e.Message, want)
	}
	call(t, sends, c, c.Address(), "hello")
	wantFault(t, h, h.Load(t, "receives", runtime.Limits{}), c, fault.WrongType) // and the message is gone
	if e := faultOf(t, h, h.Load(t, "floods", runtime.Limits{}), c, fault.Overloaded); e.RetryAfter != 7 {
		t.Errorf("a full mailbox lost its hint: %+v", e)
	}
	for want := range mailboxSize {
		if n, err := value.As[int](call(t, h.Load(t, "receives", runtime.Limits{}), c)); err != nil || n != want {
			t.Fatalf("message %d is %d, %v", want, n, err)
		}
	}
}

// testEndedInRecv: a function that waits for a message ends with its Context, as one that waits for a call does.
func testEndedInRecv(t *testing.T, h Harness) {
	f := h.Load(t, "receives", runtime.Limits{})
	wantFault(t, h, f, within(t, 20*time.Millisecond), fault.DeadlineExceeded)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	wantFault(t, h, f, NewContext(ctx), fault.Cancelled)
	why, giveUp := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { giveUp(fault.New(fault.Unavailable, "shutting down")) })
	wantFault(t, h, f, NewContext(why), fault.Unavailable)
}
