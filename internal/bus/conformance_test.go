package bus_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network makes a network that is closed at the end, and whose seed is shown if the test fails.
func network(t testing.TB, o bus.Options) *bus.Network {
	t.Helper()
	n := bus.NewNetwork(o)
	t.Cleanup(func() {
		n.Close()
		if t.Failed() {
			t.Logf("network: %s", n.Options())
		}
	})
	return n
}

func TestConformance(t *testing.T) {
	bustest.Run(t, func(t *testing.T) (a, b bus.Bus) {
		n := network(t, bus.Options{})
		return n.Join("a"), n.Join("b")
	})
}

// TestConformanceOverLinks takes the way that messages go once there has been a fault.
func TestConformanceOverLinks(t *testing.T) {
	bustest.Run(t, func(t *testing.T) (a, b bus.Bus) {
		n := network(t, bus.Options{})
		n.Partition("a", "b")
		n.Heal()
		return n.Join("a"), n.Join("b")
	})
}
