package history

import (
	"cmp"
	"fmt"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// Kind is what an operation does.
type Kind string

// The kinds. A key is either read, written and deleted, or it is a counter.
const (
	Read        Kind = "read"
	Write       Kind = "write"
	Delete      Kind = "delete"
	Increment   Kind = "increment" // a counter's, by one
	ReadCounter Kind = "read_counter"
)

// Result is what is known of an operation's or a run's end.
type Result string

// The results.
const (
	OK      Result = "ok"
	Failed  Result = "failed"  // certainly without effect
	Unknown Result = "unknown" // with or without
)

// Op is one operation of a function on one key.
type Op struct {
	ID      int      `json:"id"`              // unique in the history
	Run     string   `json:"run"`             // the run; operations outside any are given runs of their own
	Call    string   `json:"call"`            // the call within the run: node of the DAG, and item
	Seq     int      `json:"seq,omitempty"`   // position within the call's attempt: that is its program order
	After   []string `json:"after,omitempty"` // calls of the run that precede this one. One that has no operations of its own: its After as well
	Attempt int      `json:"att,omitempty"`   // which execution of the call; 0 is the first
	// Node is a life of an executor: one that was started again has another name, for its cache is another.
	Node   string   `json:"node,omitempty"`
	Level  string   `json:"lvl,omitempty"` // as kvs.ParseLevel reads it; all operations of a run have the same
	Kind   Kind     `json:"op"`
	Key    string   `json:"key"`
	Values []string `json:"v,omitempty"` // of a read the write ids seen, several for siblings; of what writes its own id
	N      int64    `json:"n,omitempty"` // of a ReadCounter what was read
	Begin  int64    `json:"b"`           // nanoseconds, on one clock for the whole history
	End    int64    `json:"e,omitempty"` // 0: it never returned
	Result Result   `json:"res"`
	// Ack is the acknowledgement that an OK of a write stands for. One that was only cached may be lost with its node; any
	// other, also "", must be found at the end.
	Ack string `json:"ack,omitempty"`
	// Replaces, of a Write or Delete at sk, mk, dsc and txn, are the write ids of this key that its session had read or
	// written before: what it may overwrite. At the other levels it is not needed.
	Replaces []string `json:"rep,omitempty"`
	// Stamp is the write's clock, where it is known: then the order of writes at lww and rr is checked exactly, else only as
	// far as sessions and MaxSkew tell it.
	Stamp Stamp `json:"ts,omitzero"`

	at place
}

// Stamp orders the writes of a key at lww and rr: by time, then by node. The zero Stamp is not known.
type Stamp struct {
	Time uint64 `json:"t"`
	Node uint64 `json:"n,omitempty"`
}

// Compare is negative where s is before t.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.Time, t.Time), cmp.Compare(s.Node, t.Node))
}

// End is the end of a run. A run without one has an unknown outcome.
type End struct {
	Run     string `json:"run"`
	Level   string `json:"lvl,omitempty"`
	Outcome Result `json:"out"`
	// Attempts tells which attempt of each call counted. A call that is not named counted with attempt 0.
	Attempts map[string]int `json:"att,omitempty"`

	at place
}

// Final is what a key holds at the end, when everything is quiet: in the store, or as a node sees it. A key that is gone
// has one too, without values.
type Final struct {
	Key    string   `json:"key"`
	Node   string   `json:"node,omitempty"` // "": the store
	Values []string `json:"v,omitempty"`
	N      int64    `json:"n,omitempty"` // of a counter

	at place
}

// Fault is one that was injected, or several of a kind that are not worth a record each.
type Fault struct {
	Kind   string `json:"kind"`
	At     int64  `json:"t"` // on the clock of the operations
	Detail string `json:"detail,omitempty"`
	N      int    `json:"n,omitempty"` // how many, up to At; 0 is one
}

// History is what happened, in no particular order.
type History struct {
	Ops    []Op
	Ends   []End
	Finals []Final
	Faults []Fault
}

// place is where a record was read; zero where it was made in memory.
type place struct {
	file string
	line int
}

func (p place) String() string {
	if p.line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", p.file, p.line)
}

// refuse is the error for a record that makes no sense.
func refuse(at place, format string, args ...any) error {
	return fault.New(fault.InvalidArgument, "%s%s", at, fmt.Sprintf(format, args...))
}

// check refuses an operation that makes no sense by itself.
func (o *Op) check() error {
	if o.Run == "" || o.Call == "" || o.Key == "" {
		return refuse(o.at, "op %d: give it a run, a call and a key", o.ID)
	}
	level, err := kvs.ParseLevel(o.Level)
	if err != nil {
		return refuse(o.at, "op %d: %v", o.ID, fault.From(err).Message)
	}
	if level == kvs.MultiKey && o.Node == "" {
		return refuse(o.at, "op %d: at mk it is the node that keeps the promise: name it", o.ID)
	}
	if _, err := kvs.ParseAck(o.Ack); err != nil {
		return refuse(o.at, "op %d: %v", o.ID, fault.From(err).Message)
	}
	switch o.Kind {
	case Read, ReadCounter:
		if o.Result != OK && len(o.Values) > 0 {
			return refuse(o.at, "op %d: a read whose result is %q saw nothing: leave its values out", o.ID, o.Result)
		}
	case Write, Delete, Increment:
		if len(o.Values) != 1 || o.Values[0] == "" {
			return refuse(o.at, "op %d: a %s has exactly one value, its own id", o.ID, o.Kind)
		}
	default:
		return refuse(o.at, "op %d: unknown kind %.40q: use read, write, delete, increment or read_counter", o.ID, o.Kind)
	}
	if !o.Result.known() {
		return refuse(o.at, "op %d: unknown result %.40q: use ok, failed or unknown", o.ID, o.Result)
	}
	if o.End != 0 && o.End < o.Begin || o.End == 0 && o.Result == OK {
		return refuse(o.at, "op %d: it ends at %d and begins at %d: an operation that returned ends at or after its begin", o.ID, o.End, o.Begin)
	}
	return nil
}

func (e *End) check() error {
	if e.Run == "" {
		return refuse(e.at, "the end of a run has to name it")
	}
	if _, err := kvs.ParseLevel(e.Level); err != nil {
		return refuse(e.at, "end of run %s: %v", e.Run, fault.From(err).Message)
	}
	if !e.Outcome.known() {
		return refuse(e.at, "end of run %s: unknown outcome %.40q: use ok, failed or unknown", e.Run, e.Outcome)
	}
	return nil
}

func (f *Final) check() error {
	if f.Key == "" {
		return refuse(f.at, "a final state has to name its key")
	}
	return nil
}

func (r Result) known() bool { return r == OK || r == Failed || r == Unknown }

// writes reports whether the operation makes a version of its key.
func (o *Op) writes() bool { return o.Kind == Write || o.Kind == Delete }

// kept reports whether the operation was acknowledged so that it must be found at the end.
func (o *Op) kept() bool { return o.Result == OK && o.Ack != kvs.Cached.String() }
