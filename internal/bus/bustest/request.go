package bustest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/bus"
)

func requestReply(t *testing.T, a, b bus.Bus) {
	subscribe(t, b, "double.*", "", func(m bus.Msg) {
		_ = b.Publish(bus.Msg{Subject: m.Reply, Data: append(m.Data, m.Data...)})
	})
	for i := range 100 {
		from := []bus.Bus{a, b}[i%2]
		got, err := from.Request(soon(t), fmt.Sprintf("double.%d", i), fmt.Append(nil, i))
		if want := fmt.Sprint(i, i); err != nil || string(got) != strings.ReplaceAll(want, " ", "") {
			t.Fatalf("got %q, %v; want %s", got, err, want)
		}
	}
}

func concurrentRequests(t *testing.T, a, b bus.Bus) {
	subscribe(t, b, "echo", "", func(m bus.Msg) { _ = b.Publish(bus.Msg{Subject: m.Reply, Data: m.Data}) })
	ctx := soon(t)
	var callers sync.WaitGroup
	for c := range 16 {
		callers.Go(func() {
			for i := range 50 {
				want := fmt.Sprintf("%d/%d", c, i)
				if got, err := a.Request(ctx, "echo", []byte(want)); err != nil || string(got) != want {
					t.Errorf("got %q, %v; want %s", got, err, want)
				}
			}
		})
	}
	callers.Wait()
}

func lateReply(t *testing.T, a, b bus.Bus) {
	asked := collect(t, b, "ask", "")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := a.Request(ctx, "ask", []byte("first"))
		gone <- err
	}()
	first := asked.next()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled request: %v", err)
	}
	answered := make(chan string, 1)
	second := soon(t)
	go func() {
		got, err := a.Request(second, "ask", []byte("second"))
		if err != nil {
			got = []byte(err.Error())
		}
		answered <- string(got)
	}()
	m := asked.next()
	for range 3 {
		if err := b.Publish(bus.Msg{Subject: first.Reply, Data: []byte("late")}); err != nil {
			t.Fatalf("late reply: %v", err)
		}
	}
	if err := b.Publish(bus.Msg{Subject: m.Reply, Data: []byte("second answer")}); err != nil {
		t.Fatalf("reply: %v", err)
	}
	if got := <-answered; got != "second answer" {
		t.Fatalf("second request got %q", got)
	}
}

// carriedReply: the second receiver answers the first sender, as Squall's executors do.
func carriedReply(t *testing.T, a, b bus.Bus) {
	subscribe(t, b, "hop.1", "", func(m bus.Msg) {
		_ = b.Publish(bus.Msg{Subject: "hop.2", Reply: m.Reply, Data: append(m.Data, '1')})
	})
	subscribe(t, a, "hop.2", "", func(m bus.Msg) {
		_ = a.Publish(bus.Msg{Subject: m.Reply, Data: append(m.Data, '2')})
	})
	got, err := a.Request(soon(t), "hop.1", []byte("0"))
	if err != nil || string(got) != "012" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func requestNoResponders(t *testing.T, a, b bus.Bus) {
	if _, err := a.Request(soon(t), "nobody.here", []byte("x")); !errors.Is(err, bus.ErrNoResponders) {
		t.Fatalf("got %v, want no responders", err)
	}
	s := subscribe(t, b, "nobody.*", "", func(m bus.Msg) { _ = b.Publish(bus.Msg{Subject: m.Reply, Data: []byte("here")}) })
	if got, err := a.Request(soon(t), "nobody.here", nil); err != nil || string(got) != "here" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := s.Unsubscribe(); err != nil {
		t.Fatalf("unsubscribe: %v", err)
	}
	settled(t, b)
	if _, err := a.Request(soon(t), "nobody.here", nil); !errors.Is(err, bus.ErrNoResponders) {
		t.Fatalf("got %v after unsubscribing, want no responders", err)
	}
}

func publishNoResponders(t *testing.T, a, b bus.Bus) {
	in := collect(t, a, "back.*", "")
	elsewhere := collect(t, b, "back.elsewhere", "")
	if err := a.Publish(bus.Msg{Subject: "nobody", Reply: "back.1", Data: []byte("x")}); err != nil {
		t.Fatalf("publish: %v", err)
	}
	if m := in.next(); m.Subject != "back.1" || !m.NoResponders || len(m.Data) != 0 {
		t.Fatalf("got %+v, want no responders on back.1", m)
	}
	// Only the publisher hears of it: a reply address that is carried along is not told.
	if err := a.Publish(bus.Msg{Subject: "nobody", Reply: "elsewhere.1"}); err != nil {
		t.Fatalf("publish: %v", err)
	}
	if err := b.Publish(bus.Msg{Subject: "nobody", Reply: "back.2"}); err != nil {
		t.Fatalf("publish: %v", err)
	}
	settled(t, a)
	settled(t, b)
	publish(t, b, "back.3", "real")
	in.want("back.3", "real")
	elsewhere.empty()
}

func requestContext(t *testing.T, a, b bus.Bus) {
	silent := collect(t, b, "silent", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := a.Request(ctx, "silent", nil)
		done <- err
	}()
	silent.next()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want cancelled", err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := a.Request(short, "silent", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the deadline", err)
	}
	if _, err := a.Request(ctx, "silent", nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want cancelled at once", err)
	}
}

func emptyData(t *testing.T, a, b bus.Bus) {
	subscribe(t, b, "void", "", func(m bus.Msg) { _ = b.Publish(bus.Msg{Subject: m.Reply}) })
	if got, err := a.Request(soon(t), "void", nil); err != nil || len(got) != 0 {
		t.Fatalf("got %q, %v; want an empty answer", got, err)
	}
}
