package load

import (
	"context"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// Null is a target that does nothing: what a run against it reaches is what the generator can.
type Null struct{}

// Open implements Target.
func (Null) Open(context.Context, *ycsb.Workload, int) error { return nil }

// Worker implements Target.
func (Null) Worker(context.Context, int) (Worker, error) { return nullWorker{}, nil }

// Stored implements Target: there is nothing.
func (Null) Stored(context.Context, []string) ([][]byte, error) {
	return nil, fault.New(fault.Unsupported, "the null target stores nothing: take another one to see what is kept")
}

// Counter implements Target.
func (Null) Counter(context.Context, string) (int64, error) { return 0, nil }

// Traits implements Target.
func (Null) Traits() Traits { return Traits{Name: "null", Durability: "none"} }

// Close implements Target.
func (Null) Close() error { return nil }

type nullWorker struct{}

func (nullWorker) Do(context.Context, []Op) error { return nil }
