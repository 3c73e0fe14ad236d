package fault

// Code names a kind of failure. Codes are append-only: a released code never changes its meaning.
type Code string

// The codes, by who can act on them.
const (
	// The caller's input.

	InvalidArgument Code = "invalid_argument" // a request that makes no sense as it stands
	InvalidName     Code = "invalid_name"     // a function, DAG, namespace or executor name outside [A-Za-z0-9_-]{1,128}
	InvalidKey      Code = "invalid_key"      // an empty key, or one over 1 KiB
	InvalidDAG      Code = "invalid_dag"      // a cycle, an edge to a missing node, a duplicate name
	InvalidModule   Code = "invalid_module"   // not WebAssembly, truncated, or without the exports and imports Squall needs
	WrongArity      Code = "wrong_arity"      // too many or too few arguments or inputs
	WrongType       Code = "wrong_type"       // a value that does not decode into what its consumer declares
	TooLarge        Code = "too_large"        // an argument, result or value over its limit
	UnknownFunction Code = "unknown_function" // no function of that name is registered
	UnknownDAG      Code = "unknown_dag"      // no DAG of that name is registered
	UnknownRun      Code = "unknown_run"      // no run of that id is open or recorded
	NotFound        Code = "not_found"        // no value under that key
	Conflict        Code = "conflict"         // a compare-and-set whose expected revision is not the current one
	DepthExceeded   Code = "depth_exceeded"   // functions calling functions too many levels deep
	Unauthorized    Code = "unauthorized"     // no credentials, or wrong ones
	Unsupported     Code = "unsupported"      // a message or record of a version this node does not speak

	NativeNeedsExecutor Code = "native_needs_executor" // a Go func registered by a client that embeds no executor

	// The user's function.

	FunctionError    Code = "function_error"    // the function returned an error
	FunctionPanic    Code = "function_panic"    // the function panicked or trapped
	FunctionExited   Code = "function_exited"   // sandboxed code called exit
	OutOfMemory      Code = "out_of_memory"     // sandboxed code grew past its memory limit
	DeadlineExceeded Code = "deadline_exceeded" // a node's timeout or the run's deadline passed
	Cancelled        Code = "cancelled"         // somebody cancelled the run

	// The cluster.

	NoExecutor      Code = "no_executor"      // no live executor can run the function
	Overloaded      Code = "overloaded"       // queues are full; try again after RetryAfter
	Unreachable     Code = "unreachable"      // the cluster does not answer: NATS or the coordinator is down
	Unavailable     Code = "unavailable"      // the store cannot serve the request now
	ExecutorCrashed Code = "executor_crashed" // executors died while they ran this invocation, and the poison limit is reached
	Fenced          Code = "fenced"           // a write of a node that was declared dead: others do its work
	ClockSkew       Code = "clock_skew"       // this node's clock is too far from the fleet's to order writes
	TxnConflict     Code = "txn_conflict"     // another write came between a transaction's reads and its commit
	TxnCrossShard   Code = "txn_cross_shard"  // a transaction over keys that do not share a {tag}
	SnapshotLost    Code = "snapshot_lost"    // a version that the run has read can no longer be had
	SnapshotMemory  Code = "snapshot_memory"  // the versions that runs have pinned here fill their share of the cache
	DependencyLost  Code = "dependency_lost"  // a version that another one depends on was lost with its node
	RunLost         Code = "run_lost"         // the run's owner and its state are gone; nothing was recorded
	OutcomeUnknown  Code = "outcome_unknown"  // the coordinator went away mid-call: the run may or may not have finished
	Internal        Code = "internal"         // a defect in Squall
)

// traits are what a code implies at the edges.
type traits struct {
	status    int // HTTP status; a number, because net/http would add 1.7 MB to every WebAssembly function
	exit      int // exit code of the CLI: 1 failed call, 2 usage, 3 timeout, 4 unreachable
	retryable bool
}

var codes = map[Code]traits{
	InvalidArgument:     {400, 2, false},
	InvalidName:         {400, 2, false},
	InvalidKey:          {400, 2, false},
	InvalidDAG:          {422, 2, false},
	InvalidModule:       {422, 2, false},
	WrongArity:          {422, 2, false},
	WrongType:           {422, 2, false},
	TooLarge:            {413, 2, false},
	UnknownFunction:     {404, 1, false},
	UnknownDAG:          {404, 1, false},
	UnknownRun:          {404, 1, false},
	NotFound:            {404, 1, false},
	Conflict:            {412, 1, false},
	DepthExceeded:       {422, 1, false},
	Unauthorized:        {401, 1, false},
	Unsupported:         {400, 1, false},
	NativeNeedsExecutor: {400, 2, false},
	FunctionError:       {422, 1, false},
	FunctionPanic:       {422, 1, false},
	FunctionExited:      {422, 1, false},
	OutOfMemory:         {422, 1, false},
	DeadlineExceeded:    {504, 3, true},
	Cancelled:           {499, 1, false},
	NoExecutor:          {503, 4, true},
	Overloaded:          {429, 1, true},
	Unreachable:         {503, 4, true},
	Unavailable:         {503, 4, true},
	ExecutorCrashed:     {502, 1, false},
	Fenced:              {503, 1, true},
	ClockSkew:           {503, 1, true},
	TxnConflict:         {409, 1, true},
	TxnCrossShard:       {422, 2, false},
	SnapshotLost:        {503, 1, true},
	SnapshotMemory:      {503, 1, true},
	DependencyLost:      {503, 1, true},
	RunLost:             {503, 1, true},
	OutcomeUnknown:      {503, 1, true},
	Internal:            {500, 1, false},
}

// Status is the HTTP status that answers for c; an unknown code is 500.
func (c Code) Status() int {
	if t, ok := codes[c]; ok {
		return t.status
	}
	return 500
}

// ExitCode is what the CLI exits with for c: 1 a failed call, 2 bad usage, 3 a timeout, 4 an unreachable cluster.
func (c Code) ExitCode() int {
	if t, ok := codes[c]; ok {
		return t.exit
	}
	return 1
}

// Retryable reports whether the same request may succeed later without being changed.
func (c Code) Retryable() bool { return codes[c].retryable }

// Known reports whether c is one of this release's codes.
func (c Code) Known() bool { _, ok := codes[c]; return ok }
