package jetkv_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

// outlet connects to whichever server runs at the moment.
type outlet struct {
	mu  sync.Mutex
	srv *natsconn.Server
}

func (o *outlet) plug(srv *natsconn.Server) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.srv = srv
}

func (o *outlet) InProcessConn() (net.Conn, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.srv.InProcessConn()
}

func TestOutage(t *testing.T) {
	dir := t.TempDir()
	srv := serve(t, dir, natsconn.Interval)
	o := &outlet{srv: srv}
	conn, err := natsconn.Dial(within(t), natsconn.Options{InProcess: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s := open(t, conn, jetkv.Config{})
	hasty := open(t, conn, jetkv.Config{Timeout: 400 * time.Millisecond})
	nervous := open(t, conn, jetkv.Config{DeleteMarkers: time.Second})
	put(t, s, "a", []byte("before"))
	put(t, s, "b", []byte("before"))
	changes, err := s.Watch(within(t), "")
	if err != nil {
		t.Fatal(err)
	}
	short, err := nervous.Watch(within(t), "")
	if err != nil {
		t.Fatal(err)
	}

	srv.Shutdown()
	begin := time.Now()
	for _, call := range []func() error{
		func() error { _, err := hasty.Get(within(t), "a"); return err },
		func() error { _, err := hasty.Put(within(t), "a", value.MustOf(1), kvs.PutOptions{}); return err },
		func() error { return hasty.Delete(within(t), "a", 0) },
		func() error { _, err := hasty.List(within(t), "", "", 10); return err },
		func() error { _, err := hasty.Watch(within(t), ""); return err },
	} {
		err := call()
		fails(t, err, fault.Unavailable)
		if e := fault.From(err); !e.Retryable() || e.RetryAfter == 0 {
			t.Fatalf("%v: does not say that it can be tried again", err)
		}
	}
	waiting := make(chan error, 1)
	go func() { // waits through the outage
		_, err := s.Put(within(t), "c", value.MustOf([]byte("during")), kvs.PutOptions{})
		waiting <- err
	}()
	until(t, "deletes would be forgotten", func() bool { return time.Since(begin) > 1200*time.Millisecond })
	srv = serve(t, dir, natsconn.Interval)
	o.plug(srv)
	if err := <-waiting; err != nil {
		t.Fatalf("the put that waited: %v", err)
	}
	holds(t, s, "a", []byte("before"))

	// Another process writes; the watcher finds its way back and sees it, and what waited.
	other := open(t, dial(t, srv), jetkv.Config{})
	put(t, other, "a", []byte("after"))
	if err := other.Delete(within(t), "b", 0); err != nil {
		t.Fatal(err)
	}
	want := map[kvs.Key]bool{"a": false, "b": true, "c": false}
	for len(want) > 0 {
		select {
		case e, ok := <-changes:
			if !ok {
				t.Fatal("the watch ended")
			}
			if deleted, ok := want[e.Key]; !ok || deleted != e.Deleted {
				t.Fatalf("%q changed, deleted %v: not as it was", e.Key, e.Deleted)
			}
			delete(want, e.Key)
		case <-within(t).Done():
			t.Fatalf("not seen: %v", want)
		}
	}
	// Whoever was away for longer than deletes are remembered is told to look for himself.
	for range short {
	}
}
