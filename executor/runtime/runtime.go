// Package runtime is the seam between an executor and the code it runs. Three runtimes implement it, native, wasm
// and process, and one conformance suite (runtimetest) holds them to the same behaviour.
package runtime

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// Kind names a runtime.
type Kind string

// The runtimes.
const (
	Native  Kind = "native"  // a Go func compiled into the executor; trusted
	Wasm    Kind = "wasm"    // a WASI reactor; sandboxed
	Process Kind = "process" // an executable, framed over a pipe
)

// Limits of one function. Zero fields mean the defaults of DefaultLimits.
type Limits struct {
	Memory int64         `cbor:"1,keyasint,omitempty" json:"memory_bytes,omitempty"`    // bytes one instance may use; native functions ignore it
	Output int64         `cbor:"2,keyasint,omitempty" json:"output_bytes,omitempty"`    // bytes of an encoded result
	Wall   time.Duration `cbor:"3,keyasint,omitempty" json:"timeout_ns,omitempty"`      // wall time of one invocation
	Slots  int           `cbor:"4,keyasint,omitempty" json:"max_concurrency,omitempty"` // concurrent invocations on one executor; 0 is unlimited
}

// DefaultLimits hold where a function says nothing else.
var DefaultLimits = Limits{Memory: 256 << 20, Output: 64 << 20, Wall: 5 * time.Minute}

// WithDefaults fills the zero fields.
func (l Limits) WithDefaults() Limits {
	if l.Memory == 0 {
		l.Memory = DefaultLimits.Memory
	}
	if l.Output == 0 {
		l.Output = DefaultLimits.Output
	}
	if l.Wall == 0 {
		l.Wall = DefaultLimits.Wall
	}
	return l
}

// Spec is one immutable version of a function.
type Spec struct {
	Name    string `cbor:"1,keyasint" json:"name"`
	Version string `cbor:"2,keyasint" json:"version"` // content hash; for native: build id, name and ordinal
	App     string `cbor:"3,keyasint,omitempty" json:"app,omitempty"`
	Kind    Kind   `cbor:"4,keyasint" json:"kind"`
	Limits  Limits `cbor:"5,keyasint" json:"limits"`
	// In and Out are coarse type names ("int", "text", "list", "any") where known; nil In means any arity.
	In  []string `cbor:"6,keyasint" json:"in,omitempty"`
	Out string   `cbor:"7,keyasint,omitempty" json:"out,omitempty"`
}

// Callable is one loaded function. Invoke is safe for concurrent use.
type Callable interface {
	// Invoke runs the function once. c carries the deadline and the cancellation; for sandboxed runtimes Invoke
	// returns soon after c ends, whatever the code does. A failure is a *fault.Error with the code that says whose
	// fault it is: function_error, function_panic, function_exited, out_of_memory, deadline_exceeded, cancelled,
	// too_large, wrong_type, wrong_arity. The instance that failed is discarded where its state is in doubt.
	Invoke(c fn.Context, args []value.Value) (value.Value, error)
	// Close releases the code once invocations under way have returned.
	Close() error
}

// Runtime loads functions of one kind.
type Runtime interface {
	Kind() Kind
	// Load prepares a function; code is nil for native. invalid_module where the code is not what the runtime runs.
	// Safe for concurrent use; blocks while it compiles.
	Load(ctx context.Context, spec Spec, code []byte) (Callable, error)
	Close() error
}
