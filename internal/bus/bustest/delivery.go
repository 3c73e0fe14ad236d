package bustest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/squall-faas/squall/internal/bus"
)

func delivers(t *testing.T, a, b bus.Bus) {
	local, remote := collect(t, a, "x.y", ""), collect(t, b, "x.y", "")
	publish(t, a, "x.y", "1")
	publish(t, a, "x.z", "not for us")
	publish(t, a, "x.y", "2")
	for _, in := range []*inbox{local, remote} {
		in.want("x.y", "1")
		in.want("x.y", "2")
	}
	publish(t, b, "x.y", "3")
	local.want("x.y", "3")
	remote.want("x.y", "3")
}

func wildcards(t *testing.T, a, b bus.Bus) {
	patterns := []string{"*", ">", "a", "a.*", "a.>", "a.b", "*.b", "*.*", "a.*.c", "a.b.>", "*.*.*", "a.b.c"}
	subjects := []string{"a", "b", "a.b", "b.b", "a.c", "a.b.c", "a.x.c", "a.b.c.d"}
	for _, p := range patterns { // a last message for each, so that what should not have come shows before it
		subjects = append(subjects, strings.NewReplacer("*", "end", ">", "end.end").Replace(p))
	}
	var ins []*inbox
	for _, p := range patterns {
		ins = append(ins, collect(t, b, p, ""))
	}
	for _, s := range subjects {
		publish(t, a, s, s)
	}
	for i, p := range patterns {
		for _, s := range subjects {
			if bus.Match(p, s) {
				ins[i].want(s, s)
			}
		}
	}
}

func queue(t *testing.T, a, b bus.Bus) {
	const n = 400
	var got [3]atomic.Int64
	var all sync.WaitGroup
	all.Add(n)
	for i, on := range []bus.Bus{a, b, b} {
		subscribe(t, on, "work.*", "workers", func(bus.Msg) { got[i].Add(1); all.Done() })
	}
	everything := collect(t, a, "work.>", "")
	others := collect(t, b, "work.item", "others")
	for i := range n {
		publish(t, a, "work.item", fmt.Sprint(i))
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	wait(t, "delivery of every message to the queue", done)
	for i := range n {
		everything.want("work.item", fmt.Sprint(i))
		others.want("work.item", fmt.Sprint(i))
	}
	sum := int64(0)
	for i := range got {
		sum += got[i].Load()
		if got[i].Load() == 0 {
			t.Errorf("member %d got none of %d messages", i, n)
		}
	}
	if sum != n {
		t.Errorf("queue got %d messages, want %d", sum, n)
	}
}

func queueAcrossPatterns(t *testing.T, a, b bus.Bus) {
	const n = 100
	in := collect(t, b, "q.item", "q")
	wide := &inbox{t, in.ch}
	subscribe(t, b, "q.*", "q", func(m bus.Msg) { wide.ch <- m })
	for range n {
		publish(t, a, "q.item", "")
	}
	for range n {
		in.want("q.item", "")
	}
	settled(t, a)
	settled(t, b)
	in.empty()
}

func order(t *testing.T, a, b bus.Bus) {
	const n = 2000
	in := collect(t, b, "o.>", "")
	var publishers sync.WaitGroup
	for p, from := range []bus.Bus{a, a, b} {
		subject := fmt.Sprintf("o.%d", p)
		publishers.Go(func() {
			for i := range n {
				publish(t, from, subject, fmt.Sprint(i))
			}
		})
	}
	next := map[string]int{}
	for range 3 * n {
		m := in.next()
		if want := fmt.Sprint(next[m.Subject]); string(m.Data) != want {
			t.Fatalf("%s: got %s, want %s", m.Subject, m.Data, want)
		}
		next[m.Subject]++
	}
	publishers.Wait()
}

func slowHandler(t *testing.T, a, b bus.Bus) {
	release := make(chan struct{})
	slow := make(chan bus.Msg, 2)
	subscribe(t, b, "slow", "", func(m bus.Msg) { <-release; slow <- m })
	fast := collect(t, b, "fast", "")
	publish(t, a, "slow", "1")
	publish(t, a, "slow", "2")
	publish(t, a, "fast", "3")
	fast.want("fast", "3")
	close(release)
	in := &inbox{t, slow}
	in.want("slow", "1")
	in.want("slow", "2")
}

func handlerUsesBus(t *testing.T, a, b bus.Bus) {
	subscribe(t, b, "leaf", "", func(m bus.Msg) { _ = b.Publish(bus.Msg{Subject: m.Reply, Data: append(m.Data, '!')}) })
	ctx := soon(t)
	subscribe(t, b, "root", "", func(m bus.Msg) {
		data, err := b.Request(ctx, "leaf", m.Data)
		if err != nil {
			data = []byte(err.Error())
		}
		_ = b.Publish(bus.Msg{Subject: m.Reply, Data: data})
	})
	got, err := a.Request(ctx, "root", []byte("hello"))
	if err != nil || string(got) != "hello!" {
		t.Fatalf("got %q, %v", got, err)
	}
}
