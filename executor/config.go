package executor

import (
	"io"
	"log/slog"
	goruntime "runtime"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/kvs"
)

// Config of an Executor. The fields without a documented default are required.
type Config struct {
	Name      string // a checked name, unique among the executors of the namespace
	Namespace string

	Bus    bus.Bus
	System kvs.Store // the system space: specs, code, run records
	Cache  *cache.Cache
	// State is the store that Cache writes to: this executor's life is fenced there. nil fences nothing.
	State kvs.Store
	// Port is where others fetch large values from this node; "" is nowhere.
	Port    string
	Offload *offload.Offload
	// Hold is what Offload holds values in for other executors; nil holds none, and large values go through the store. Runs
	// that end are released from it.
	Hold   *offload.Hold
	Caller *caller.Caller // for functions that call functions

	// Natives are the functions compiled into this process; nil for none. They are announced with each heartbeat.
	Natives Natives
	// Runtimes run everything else.
	Runtimes []runtime.Runtime

	// Slots is how many functions run at once; 0 is the number of cores, at least 2. More than the cores helps
	// functions that wait for something other than Call, and costs latency to those that compute.
	Slots int
	// MaxQueue is how many invocations wait for a slot before the next is refused as overloaded; 0 is 16,384.
	MaxQueue int
	// MaxOutput bounds any function's encoded result in bytes; 0 is offload.MaxDirect. What leaves a run is bounded by
	// offload.MaxValue besides.
	MaxOutput int64
	// Heartbeat is the interval at which the executor announces itself; 0 is 200 ms.
	Heartbeat time.Duration
	// Profiler observes runs; nil does not.
	Profiler Profiler
	// Late tells how long a quantile of the run times of a function's version is for arguments of so many bytes, or false
	// where too few are known: after it a hedged invocation gets a second try on another executor. It must not block; it is
	// called by several goroutines at once. nil hedges nothing.
	Late func(version string, in int64, quantile float64) (time.Duration, bool)
	// Launch predicts, for versions of two functions of which the second consumes what the first yields from so many bytes of
	// arguments, how long the first runs, how long the second takes before it reads, and how long to read everything; false
	// where too little is known. The second begins accordingly late (dag.LaunchAt). It must not block. nil has it begin with
	// the first item.
	Launch func(producer, consumer string, in int64) (run, startup, work time.Duration, ok bool)
	// MaxDepth is how many functions may wait for one another's calls; 0 is 64.
	MaxDepth int

	Release string       // of this binary, for people
	Logger  *slog.Logger // nil discards
}

// Natives is a registry of native functions.
type Natives interface {
	runtime.Runtime
	Functions() []runtime.Spec
}

// Profiler learns from runs of functions what they do. Safe for concurrent use; neither method blocks.
type Profiler interface {
	// Wants reports whether a run of a function's version that begins now is to be observed: few are, of functions that
	// are called often.
	Wants(version string, now time.Time) bool
	// Ran is told of a run that succeeded: the bytes of its arguments, with references resolved and streams as far as they were
	// read, and of its result, and how long it took without waiting for a slot or for a stream's next item.
	Ran(version string, in, out int64, took time.Duration)
	// Loaded is told how long it took to make a function ready that this node did not have: to fetch its code, and to compile it.
	Loaded(version string, took time.Duration)
}

func (c *Config) validate() error {
	if err := id.CheckName("executor", c.Name); err != nil {
		return err
	}
	if err := id.CheckName("namespace", c.Namespace); err != nil {
		return err
	}
	if c.Bus == nil || c.System == nil || c.Cache == nil || c.Offload == nil || c.Caller == nil {
		return fault.New(fault.InvalidArgument, "executor %s: Bus, System, Cache, Offload and Caller are required", c.Name)
	}
	if c.Slots <= 0 {
		c.Slots = max(2, goruntime.GOMAXPROCS(0))
	}
	if c.MaxQueue <= 0 {
		c.MaxQueue = 16 << 10
	}
	if c.MaxOutput <= 0 {
		c.MaxOutput = offload.MaxDirect
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = 200 * time.Millisecond
	}
	if c.MaxDepth <= 0 {
		c.MaxDepth = 64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return nil
}
