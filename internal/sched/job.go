package sched

import (
	"time"

	"github.com/squall-faas/squall/fault"
)

// ID names a job among those that a scheduler has; a run's id is one.
type ID [16]byte

// Ability is what a worker must have to run a job: a native function's version, or a kind of runtime.
type Ability string

// Priority orders the jobs of one application: one of priority p is served like one that came p seconds earlier, so a
// low one is late but not for ever. It gives no application a larger share.
type Priority int8

// The bounds of a Priority.
const (
	Lowest  Priority = -10
	Highest Priority = 10
)

// CheckPriority returns invalid_argument for a priority out of bounds.
func CheckPriority(p int) error {
	if p < int(Lowest) || p > int(Highest) {
		return fault.New(fault.InvalidArgument, "priority %d: give a number from %d to %d; 0 is usual", p, Lowest, Highest)
	}
	return nil
}

// Job is what asks for a slot.
type Job struct {
	ID       ID
	App      string
	Needs    Ability
	Priority Priority
	Since    time.Time // when it was first submitted: one that comes back keeps its place
	Keys     []uint64  // hashes of the keys that it reads; KeyHash
}

// Command is what the shell has to do.
type Command struct {
	Kind   CommandKind
	Job    ID
	Worker Peer         // Bind: where to
	Credit uint64       // Bind: the credit that it spends; 0 where the worker grants none
	Err    *fault.Error // Reject: why, with a hint when to try again
}

// CommandKind is the kind of a Command.
type CommandKind uint8

// The kinds of commands.
const (
	Bind   CommandKind = iota + 1 // send the job to the worker
	Reject                        // answer it with the error
	Strand                        // nobody can run it any more: it is no job of the scheduler's until it is submitted again
)

// Config of a Scheduler. The zero Config is usable.
type Config struct {
	// Queue is how many jobs wait before the next is rejected as overloaded; 0 is 16,384. Past half of it an application
	// that has more than its even share waiting is rejected.
	Queue int
	// StaleAfter is the age of a worker's last word past which its load is not trusted: the better of two random workers
	// is taken. 0 is 600 ms, three heartbeats.
	StaleAfter time.Duration
	// Bandwidth is what bytes per second a worker fetches a cached value with; 0 is 500 MB/s. Fetch is what each costs
	// besides; 0 is 200 µs.
	Bandwidth float64
	Fetch     time.Duration
	// Cold is what it costs to run an application where it has no instance; 0 is 1 ms.
	Cold time.Duration
	// Patience is the most that a job waits for the worker that has its data; 0 is 100 ms.
	Patience time.Duration
	// Retreat is how long an instance of an application is idle before the application leaves it; 0 is 10 s.
	Retreat time.Duration
	// Seed of the random choices.
	Seed uint64
}

func (c *Config) defaults() {
	if c.Queue <= 0 {
		c.Queue = 16 << 10
	}
	if c.StaleAfter <= 0 {
		c.StaleAfter = 600 * time.Millisecond
	}
	if c.Bandwidth <= 0 {
		c.Bandwidth = 500e6
	}
	if c.Fetch <= 0 {
		c.Fetch = 200 * time.Microsecond
	}
	if c.Cold <= 0 {
		c.Cold = time.Millisecond
	}
	if c.Patience <= 0 {
		c.Patience = 100 * time.Millisecond
	}
	if c.Retreat <= 0 {
		c.Retreat = 10 * time.Second
	}
}
