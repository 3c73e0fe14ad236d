package coordinator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/kvs"
)

type counter struct{ sweeps int }

func (c *counter) Sweep(context.Context) (int, error) { c.sweeps++; return 1, nil }

// TestSweep: stores are swept once an hour for as long as the coordinator lives.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := bus.NewNetwork(bus.Options{})
		store := kvs.NewMemory()
		s := &counter{}
		c, err := New(t.Context(), Config{Name: "c", Namespace: "n", Bus: net.Join("c"), System: store, Sweepers: []Sweeper{s}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*time.Hour + time.Minute) // virtual
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if s.sweeps != 3 {
			t.Errorf("%d sweeps in three hours", s.sweeps)
		}
		net.Close()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
