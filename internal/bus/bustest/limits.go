package bustest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
)

func ownership(t *testing.T, a, b bus.Bus) {
	const n = 200
	scribble := func(ch chan<- string) bus.Handler {
		return func(m bus.Msg) {
			ch <- string(m.Data)
			for i := range m.Data {
				m.Data[i] = '#'
			}
		}
	}
	var got [3]chan string
	for i, on := range []bus.Bus{a, b, b} {
		got[i] = make(chan string, n)
		subscribe(t, on, "mine", "", scribble(got[i]))
	}
	buf := make([]byte, 8)
	for i := range n {
		copy(buf, fmt.Sprintf("%08d", i))
		if err := a.Publish(bus.Msg{Subject: "mine", Data: buf}); err != nil {
			t.Fatalf("publish: %v", err)
		}
		copy(buf, "????????")
	}
	for i := range n {
		for k := range got {
			select {
			case s := <-got[k]:
				if want := fmt.Sprintf("%08d", i); s != want {
					t.Fatalf("subscription %d got %q, want %q", k, s, want)
				}
			case <-time.After(patience):
				t.Fatal("no message came")
			}
		}
	}
}

func maxPayload(t *testing.T, a, b bus.Bus) {
	limit := a.MaxPayload()
	if limit < 1<<10 || limit != b.MaxPayload() {
		t.Fatalf("maximum payload %d and %d", limit, b.MaxPayload())
	}
	in := collect(t, b, "big", "")
	data := bytes.Repeat([]byte{7}, limit+1)
	if err := a.Publish(bus.Msg{Subject: "big", Data: data}); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("publish over the maximum: %v", err)
	}
	if _, err := a.Request(soon(t), "big", data); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("request over the maximum: %v", err)
	}
	if err := a.Publish(bus.Msg{Subject: "big", Data: data[:limit]}); err != nil {
		t.Fatalf("publish of the maximum: %v", err)
	}
	if m := in.next(); !bytes.Equal(m.Data, data[:limit]) {
		t.Fatalf("got %d bytes, want %d", len(m.Data), limit)
	}
}

func badSubjects(t *testing.T, a, b bus.Bus) {
	everything := collect(t, b, ">", "")
	long := strings.Repeat("x", bus.MaxSubject+1)
	huge := strings.Repeat("x", 8<<10)
	nothing := func(bus.Msg) {}
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\r\nPUB b 0\r\n", "a\x00b", long, huge} {
		if _, err := a.Subscribe(s, "", nothing); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("subscribe to %.20q: %v, want invalid_argument", s, err)
		}
		if err := a.Publish(bus.Msg{Subject: s}); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("publish to %.20q: %v, want invalid_argument", s, err)
		}
		if _, err := a.Request(soon(t), s, nil); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("request to %.20q: %v, want invalid_argument", s, err)
		}
		if err := a.Publish(bus.Msg{Subject: "fine", Reply: s}); s != "" && !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("publish with reply %.20q: %v, want invalid_argument", s, err)
		}
	}
	for _, s := range []string{"*", "a.*", ">", "a.>", "a*", "a.b>"} {
		if err := a.Publish(bus.Msg{Subject: s}); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("publish to %q: %v, want invalid_argument", s, err)
		}
	}
	for _, s := range []string{"a*", "*a", "a.>.b", ">.a", "a>", "a.**"} {
		if _, err := a.Subscribe(s, "", nothing); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("subscribe to %q: %v, want invalid_argument", s, err)
		}
	}
	for _, q := range []string{"a b", "a\n", long} {
		if _, err := a.Subscribe("fine", q, nothing); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("queue %.20q: %v, want invalid_argument", q, err)
		}
	}
	if _, err := a.Subscribe("fine", "", nil); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("subscribe without a handler: %v, want invalid_argument", err)
	}
	// The connection has survived all that; only the one message with an empty reply went out.
	publish(t, a, "still.alive", "yes")
	if m := everything.next(); m.Subject != "fine" {
		t.Fatalf("got %+v, want the one good message", m)
	}
	everything.want("still.alive", "yes")
	longest := strings.Repeat("y", bus.MaxSubject)
	publish(t, a, longest, "long")
	everything.want(longest, "long")
}
