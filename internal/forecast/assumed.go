package forecast

import (
	"time"

	"github.com/squall-faas/squall/dag/planner"
)

// What is assumed where nobody has measured: 1 Gbit/s between nodes, a store with disks, and functions as short as most are.
const (
	// NIC is a host's network card, in bytes per second each way.
	NIC = 125e6
	// Memory is what is copied within a host, in bytes per second.
	Memory = 4e9
)

var (
	// Link is that between two executors.
	Link = planner.Link{Bandwidth: 125e6, Latency: 300 * time.Microsecond}
	// Loopback is that of an executor to itself.
	Loopback = planner.Link{Latency: 50 * time.Microsecond}
	// Store is what Remote values pass through.
	Store = planner.Store{Write: 200e6, Read: 400e6, WriteLatency: 2 * time.Millisecond, ReadLatency: time.Millisecond}
	// Bus carries values of up to what executors put into one message (offload.DefaultThreshold).
	Bus = planner.Bus{Bandwidth: 100e6, Latency: 200 * time.Microsecond, Most: 256 << 10}
	// Input is a value that a run is called with.
	Input = planner.Input{Bytes: 1 << 20}
)

// Assumed is what a call of a function on so many bytes of arguments is taken for.
func Assumed(in int64) planner.Prediction {
	return planner.Prediction{
		Out: 100 + in/2, Took: 2*time.Millisecond + time.Duration(float64(10*time.Millisecond)*float64(in)/(1<<20)), Cold: 5 * time.Millisecond,
	}
}
