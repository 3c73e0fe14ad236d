package natsbus

import (
	"testing"

	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/natsconn"
)

func TestDroppedIsCounted(t *testing.T) {
	s, err := natsconn.Embed(natsconn.ServerOptions{NoJetStream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	conn, err := s.Dial(t.Context(), natsconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := New(conn, true)
	defer func() { _ = b.Close() }()

	entered, release := make(chan struct{}, 10), make(chan struct{})
	sub, err := b.Subscribe("x", "", func(bus.Msg) { entered <- struct{}{}; <-release })
	if err != nil {
		t.Fatal(err)
	}
	if msgs, bytes, err := sub.(*subscription).sub.PendingLimits(); msgs != pendingMessages || bytes != pendingBytes || err != nil {
		t.Errorf("limits %d, %d, %v", msgs, bytes, err)
	}
	if err := sub.(*subscription).sub.SetPendingLimits(3, -1); err != nil { // the call under way counts as one
		t.Fatal(err)
	}
	for i := range 10 {
		if err := b.Publish(bus.Msg{Subject: "x"}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-entered
		}
	}
	if err := conn.Flush(); err != nil { // what was published has come back by now
		t.Fatal(err)
	}
	if got := b.Dropped(); got != 7 {
		t.Errorf("%d dropped, want 7", got)
	}
	close(release)
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if got := b.Dropped(); got != 7 {
		t.Errorf("%d dropped after Unsubscribe, want 7", got)
	}
}
