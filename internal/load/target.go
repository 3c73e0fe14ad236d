package load

import (
	"context"
	"time"

	"github.com/squall-faas/squall/internal/ycsb"
)

// Target is a system under load.
type Target interface {
	// Open connects and prepares whatever the workload needs, for so many workers. It is called once, before anything else.
	Open(ctx context.Context, w *ycsb.Workload, workers int) error
	// Worker gives what one worker calls, numbered from 0.
	Worker(ctx context.Context, n int) (Worker, error)
	// Stored reads records where they are stored, past caches, by position; nil where there is none. It is how what was
	// acknowledged is read back; whatever is stored only later is waited for first.
	Stored(ctx context.Context, keys []string) ([][]byte, error)
	// Counter reads a counter likewise; one that was never counted is 0.
	Counter(ctx context.Context, key string) (int64, error)
	// Traits say how the target wants its operations.
	Traits() Traits
	// Close ends the workers and the connection.
	Close() error
}

// Traits of a target.
type Traits struct {
	Name string
	// Durability names what a write's acknowledgement means there, for reports: durable/1, memory.
	Durability string
	// OwnRecords: records are made and verified at the target, from their keys and versions; Op.Value is not set.
	OwnRecords bool
	// OwnKeys: keys are made at the target too, from the records' numbers; Op.Key and Op.Keys are not set.
	OwnKeys bool
	// Settle is how long after its acknowledgement a write may still be on its way to where Stored reads.
	Settle time.Duration
}

// Worker does the calls of one worker of a run. Not safe for concurrent use.
type Worker interface {
	// Do carries out the operations of one call, in any order, and fills in their outcomes. An error is that of the whole
	// call; what of it was carried out is then unknown. It ends with ctx.
	Do(ctx context.Context, ops []Op) error
}

// Op is one operation of a call: what to do and how it went. Workers may keep nothing of it.
type Op struct {
	ycsb.Op
	Key   string
	Value []byte   // of what writes: the record
	Keys  []string // of Scan: the records to read

	Outcome
}

// Outcome of an operation.
type Outcome struct {
	// Data is what was read, a record for each key, nil where there was none. It must stay as it is until the next call.
	Data [][]byte
	// Missing and Damaged count what a target that verifies by itself has found.
	Missing, Damaged int
	Err              error
}

// read appends a record that was read.
func (o *Op) read(record []byte) { o.Data = append(o.Data, record) }

// Reads reports whether operations of the kind read records.
func reads(k ycsb.Kind) bool { return k == ycsb.Read || k == ycsb.Scan || k == ycsb.ReadModifyWrite }
