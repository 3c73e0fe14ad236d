package natsconn

import (
	"testing"
	"time"
)

// TestDurabilityReachesJetStream: a promise that the server was never told of would show only in a power cut.
func TestDurabilityReachesJetStream(t *testing.T) {
	for _, c := range []struct {
		d        Durability
		always   bool
		interval time.Duration
	}{
		{Durable, true, 2 * time.Minute},
		{Interval, false, time.Second},
		{Memory, false, 2 * time.Minute},
	} {
		for _, bound := range []int64{0, 1 << 30} { // the server takes two ways, by whether it has bounds
			for _, listen := range []string{"", "127.0.0.1:0"} {
				o := ServerOptions{Durability: c.d, MaxMemory: bound, MaxStore: bound, Listen: listen, Token: listen}
				if c.d != Memory {
					o.StoreDir = t.TempDir()
				}
				s, err := Embed(o)
				if err != nil {
					t.Fatalf("%v: %v", c.d, err)
				}
				got := s.srv.JetStreamConfig()
				s.Shutdown()
				if got.SyncAlways != c.always || got.SyncInterval != c.interval {
					t.Errorf("%v with bound %d, listening on %q: sync always %v, interval %v", c.d, bound, listen, got.SyncAlways, got.SyncInterval)
				}
			}
		}
	}
}

// TestNothingSaidIsDurable: whoever does not think about it loses nothing.
func TestNothingSaidIsDurable(t *testing.T) {
	s, err := Embed(ServerOptions{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if s.Durability() != Durable || !s.srv.JetStreamConfig().SyncAlways {
		t.Fatalf("a server that was asked for nothing is %v, sync always %v", s.Durability(), s.srv.JetStreamConfig().SyncAlways)
	}
}

func TestReconnectWaitIsBounded(t *testing.T) {
	for n := range 100 {
		if d := reconnectWait(n + 1); d < minReconnectWait/2 || d > maxReconnectWait {
			t.Errorf("wait %d is %v", n+1, d)
		}
	}
}

func BenchmarkEmbed(b *testing.B) {
	for _, d := range []Durability{Durable, Memory} {
		b.Run(d.String(), func(b *testing.B) {
			for b.Loop() {
				o := ServerOptions{Durability: d, Listen: "127.0.0.1:0"}
				if d != Memory {
					o.StoreDir = b.TempDir()
				}
				s, err := Embed(o)
				if err != nil {
					b.Fatal(err)
				}
				s.Shutdown()
			}
		})
	}
}
