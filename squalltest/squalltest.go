// Package squalltest gives tests a cluster of their own, in memory, which ends with the test.
package squalltest

import (
	"context"
	"testing"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/internal/cluster"
)

// Cluster is a whole cluster in the test's process, and a client of it.
type Cluster struct {
	*client.Client
}

// Start starts a cluster of executors executors, at least one, and fails the test where that does not work.
//
//	c := squalltest.Start(t, 1)
//	c.Register(t.Context(), "increment", client.Native(increment))
func Start(t testing.TB, executors int) *Cluster {
	t.Helper()
	c, err := cluster.Start(context.Background(), cluster.Config{Executors: max(executors, 1)})
	if err != nil {
		t.Fatalf("squalltest: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("squalltest: close: %v", err)
		}
	})
	return &Cluster{Client: c.Client}
}
