package bench

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// stepExecutors is over how many executors the functions of the consistency suite are spread: each has one, so that every
// edge of a chain goes to another node.
const stepExecutors = 3

func stepName(executor int) string    { return "step-" + strconv.Itoa(executor) }
func harvestName(executor int) string { return "harvest-" + strconv.Itoa(executor) }

// stepTask is what one function of a run does.
type stepTask struct {
	Level string
	Call  int // position in the chain
	Reads []string
	Write string // "" writes nothing
}

func callName(i int) string { return "n" + strconv.Itoa(i) }

// recorder keeps what the functions of one executor have read and written, until it is harvested. Safe for concurrent use.
type recorder struct {
	mu       sync.Mutex     // guards what follows
	attempts map[string]int // executions so far, by run and call
	ops      map[string][]history.Op
}

// step reads and writes, and passes on which execution of each call the run's result is made of.
func (m *member) step(c fn.Context, t stepTask, before []int) ([]int, error) {
	r := &m.record
	run, call := c.RunID(), callName(t.Call)
	r.mu.Lock()
	if r.attempts == nil {
		r.attempts, r.ops = map[string]int{}, map[string][]history.Op{}
	}
	attempt := r.attempts[run+call]
	r.attempts[run+call]++
	r.mu.Unlock()

	ops := make([]history.Op, 0, len(t.Reads)+1)
	begin := func(kind history.Kind, key string) *history.Op {
		ops = append(ops, history.Op{
			Run: run, Call: call, Seq: len(ops), Attempt: attempt, Node: m.node.Name(), Level: t.Level, Kind: kind, Key: key,
			Begin: time.Now().UnixNano(), Result: history.Unknown,
		})
		o := &ops[len(ops)-1]
		if t.Call > 0 {
			o.After = []string{callName(t.Call - 1)}
		}
		return o
	}
	err := t.carryOut(c, begin, fmt.Sprintf("%s/%s.%d", run, call, attempt))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops[t.Level] = append(r.ops[t.Level], ops...)
	return append(before, attempt), err
}

func (t *stepTask) carryOut(c fn.Context, begin func(history.Kind, string) *history.Op, id string) error {
	seen := map[string][]string{}
	for _, key := range t.Reads {
		o := begin(history.Read, key)
		vs, err := c.SiblingValues(key)
		if err != nil && !fault.Is(err, fault.NotFound) {
			o.Result = history.Failed
			return err
		}
		for _, v := range vs {
			w, err := value.As[string](v)
			if err != nil {
				return err
			}
			o.Values = append(o.Values, w)
		}
		seen[key] = o.Values
		o.Result, o.End = history.OK, time.Now().UnixNano()
	}
	if t.Write == "" {
		return nil
	}
	o := begin(history.Write, t.Write)
	o.Values, o.Replaces = []string{id}, seen[t.Write]
	if err := fn.Put(c, t.Write, id); err != nil {
		return err
	}
	o.Result, o.End = history.OK, time.Now().UnixNano()
	return nil
}

// harvested is what one executor has recorded at a level.
type harvested struct {
	Ops  []byte // JSON, a list of history.Op
	Sent uint64 // bytes of sessions that left the executor
}

// harvest stores everything that the node's cache has not stored yet, and gives and forgets what was recorded at a level.
func (m *member) harvest(c fn.Context, level string) (harvested, error) {
	if err := m.node.Cache.Flush(c); err != nil {
		return harvested{}, err
	}
	l, err := kvs.ParseLevel(level)
	if err != nil {
		return harvested{}, err
	}
	r := &m.record
	r.mu.Lock()
	ops := r.ops[level]
	delete(r.ops, level)
	r.mu.Unlock()
	b, err := json.Marshal(ops)
	return harvested{Ops: b, Sent: m.node.SessionBytes(l)}, err
}
