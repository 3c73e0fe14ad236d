package wire

import (
	"strconv"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/internal/id"
)

// Keys of the system space.

// SpecKey is where a Spec is stored.
func SpecKey(hash string) string { return "spec/" + hash }

// CodeKey is where a module's code is stored, by the hash of its bytes.
func CodeKey(version string) string { return "code/" + version }

// FunctionKey is where a function's current version is stored.
func FunctionKey(name string) string { return FunctionPrefix + name }

// GraphKey is where a DAG's current version is stored.
func GraphKey(name string) string { return GraphPrefix + name }

// RunKey is where a run's record is stored.
func RunKey(run id.Run) string { return RunPrefix + run.String() }

// EffectsKey is where the effects of one invocation are stored.
func EffectsKey(run id.Run, node, item int) string {
	return EffectsPrefix + run.String() + "/" + strconv.Itoa(node) + "." + strconv.Itoa(item)
}

// HedgeKey is EffectsKey for an invocation that is hedged in a run which is not durable. These have a time to live, for no
// record of their run says when they are of no more use.
func HedgeKey(run id.Run, node, item int) string {
	return "hedge/" + EffectsKey(run, node, item)[len(EffectsPrefix):]
}

// IncarnationKey is where a coordinator's last incarnation is stored, by its name: an int64.
func IncarnationKey(name string) string { return "incarnation/" + name }

// AccessKey is where the record of what an application uses of its cache is kept, as its last node that unloaded it left it.
func AccessKey(app string) string { return "access/" + app }

// ProfileKey is where an executor keeps what it has learnt of functions and links.
func ProfileKey(executor string) string { return ProfilePrefix + executor }

// LeaseKey is where the namespace's coordinator stands: its name, or "" where it has left.
const LeaseKey = "lease/coordinator"

// Prefixes of the system space that are listed.
const (
	FunctionPrefix = "fn/"
	ProfilePrefix  = "profile/"
	GraphPrefix    = "dag/"
	RunPrefix      = "run/"
	EffectsPrefix  = "effects/"
)

// Spec is a graph with the version of each node's function: what a run is pinned to. Immutable, stored by its hash.
type Spec struct {
	Graph     []byte         `cbor:"1,keyasint"` // dag.Encode
	Functions []runtime.Spec `cbor:"2,keyasint"` // by node
}

func (*Spec) wireType() Type { return TypeSpec }

// Function is the record of a function's current version.
type Function struct {
	Spec runtime.Spec `cbor:"1,keyasint"`
}

func (*Function) wireType() Type { return TypeFunction }

// Graph is the record of a DAG's current version.
type Graph struct {
	Graph   []byte `cbor:"1,keyasint"`
	Version string `cbor:"2,keyasint"`
}

func (*Graph) wireType() Type { return TypeGraph }

// RunRecord is a stored run. It is created when a durable run is admitted, and replaced, expecting that very
// revision, when the run ends: so exactly one outcome is recorded, and a collector that was fenced finds out.
type RunRecord struct {
	Call    Call     `cbor:"1,keyasint"`
	Spec    string   `cbor:"2,keyasint,omitempty"`
	Started int64    `cbor:"3,keyasint"` // Unix nanoseconds
	Expires int64    `cbor:"4,keyasint"` // of the run's deadline, Unix nanoseconds; 0 is none
	Epoch   uint32   `cbor:"5,keyasint,omitempty"`
	Outcome *Outcome `cbor:"6,keyasint,omitempty"` // nil while the run is open
	Ended   int64    `cbor:"7,keyasint,omitempty"`
}

func (*RunRecord) wireType() Type { return TypeRunRecord }

// RunRetention is how long the record of a run that has ended is kept.
const RunRetention = 7 * 24 * time.Hour
