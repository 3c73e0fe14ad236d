package coordinator

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/kvs"
)

// Config of a Coordinator. The fields without a documented default are required.
type Config struct {
	Name      string // a checked name, unique among the nodes of the namespace
	Namespace string

	Bus    bus.Bus
	System kvs.Store // the system space: functions, DAGs, specs, run records
	// State is the users' space: a lost executor is fenced there before its work is executed again. nil fences nobody.
	State kvs.Store

	// Sweepers are swept once an hour: stores that leave garbage behind which only looking finds. None is fine.
	Sweepers []Sweeper

	// MaxRuns is how many runs may be open before the next call is refused as overloaded; 0 is 65,536.
	MaxRuns int
	// MaxQueue is how many calls wait for a free slot before the next is refused as overloaded; 0 is 16,384.
	MaxQueue int
	// PlaceWait is how long a call waits for an executor that can run it before it ends in no_executor; 0 is 1 s.
	PlaceWait time.Duration
	// Suspect is the silence after which an executor is asked whether it lives; 0 is 500 ms, longer than two
	// heartbeats.
	Suspect time.Duration
	// Dead is the silence after which an executor that cannot be asked is given up; 0 is 3 s: longer than a loaded
	// host stalls.
	Dead time.Duration
	// Crashes is how many executors die under a run before it may be taken for the cause; 0 is 2.
	Crashes int
	// Restarts is how often a run begins anew because of conflicts before it ends with the last; 0 is 32.
	Restarts int

	Logger *slog.Logger // nil discards
}

// Sweeper removes what nothing refers to any more, such as chunks of values whose writer died half way.
type Sweeper interface {
	Sweep(ctx context.Context) (removed int, err error)
}

func (c *Config) validate() error {
	if err := id.CheckName("coordinator", c.Name); err != nil {
		return err
	}
	if err := id.CheckName("namespace", c.Namespace); err != nil {
		return err
	}
	if c.Bus == nil || c.System == nil {
		return fault.New(fault.InvalidArgument, "coordinator %s: Bus and System are required", c.Name)
	}
	if c.MaxRuns <= 0 {
		c.MaxRuns = 64 << 10
	}
	if c.PlaceWait <= 0 {
		c.PlaceWait = time.Second
	}
	if c.Suspect <= 0 {
		c.Suspect = 500 * time.Millisecond
	}
	if c.Dead <= 0 {
		c.Dead = 3 * time.Second
	}
	if c.Crashes <= 0 {
		c.Crashes = 2
	}
	if c.Restarts <= 0 {
		c.Restarts = 32
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return nil
}
