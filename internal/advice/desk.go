package advice

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/executor/runtime"
)

const (
	// Fresh is how long advice is taken as it is; after that it is still followed, and asked for anew.
	Fresh = 10 * time.Second
	// Stale is when it is followed no longer.
	Stale = time.Minute
	// MaxKept is how many pieces of advice are kept, counting those of which nothing came.
	MaxKept = 1024
	// MaxAsked is how many questions wait; what is beyond is not asked, until the next run.
	MaxAsked = 64
	// share is what part of one core planning may take.
	share = 0.05
	// mostRest bounds the pause after one question.
	mostRest = 10 * time.Second
)

// Key tells apart what is advised apart: the spec of a DAG with its functions' versions, and the sizes of its inputs.
type Key struct {
	Spec  string
	Sizes Sizes
}

// Sizes stand for the orders of magnitude of a run's inputs. The zero Sizes are those of none.
type Sizes uint64

// Add notes the next input: how many bits its number of bytes has, and whether it is a reference to what is stored.
func (s Sizes) Add(bits int, stored bool) Sizes {
	x := uint64(bits) + 1
	if stored {
		x |= 1 << 7
	}
	return (s ^ Sizes(x)) * 0x100000001b3 // FNV
}

// Question is what the background is asked. It has no reference to the run.
type Question struct {
	Key       Key
	Graph     *dag.Graph
	Functions []runtime.Spec // by node
	Inputs    []planner.Input
	First     string // the executor of the first node
}

// Versions are those of the functions, by node.
func (q *Question) Versions() []string {
	out := make([]string, len(q.Functions))
	for i := range q.Functions {
		out[i] = q.Functions[i].Version
	}
	return out
}

// Stats count what has come of a desk.
type Stats struct {
	Asked    uint64
	Left     uint64 // not asked because too much was waiting
	Verdicts [len(Verdicts)]uint64
	Planning time.Duration // that making advice took, together
}

// Desk keeps advice. Not safe for concurrent use.
type Desk struct {
	kept  *simplelru.LRU[Key, *entry]
	queue []Question
	stats Stats
}

type entry struct {
	advice *Advice // nil where there is none
	made   time.Time
	asked  bool // and not answered yet
}

// NewDesk makes an empty desk.
func NewDesk() *Desk {
	kept, err := simplelru.NewLRU[Key, *entry](MaxKept, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Desk{kept: kept}
}

// Look gives the advice for a run that is being placed, nil where there is none; ask says that it should be asked for.
func (d *Desk) Look(now time.Time, k Key) (a *Advice, ask bool) {
	e, ok := d.kept.Get(k)
	if !ok {
		return nil, true
	}
	old := now.Sub(e.made)
	if old < Stale {
		a = e.advice
	}
	return a, old >= Fresh && !e.asked
}

// Ask queues a question, unless too many wait.
func (d *Desk) Ask(q Question) bool {
	if len(d.queue) >= MaxAsked {
		d.stats.Left++
		return false
	}
	d.stats.Asked++
	d.queue = append(d.queue, q)
	if e, ok := d.kept.Get(q.Key); ok {
		e.asked = true
	} else {
		d.kept.Add(q.Key, &entry{asked: true})
	}
	return true
}

// Next takes the oldest question out of the queue.
func (d *Desk) Next() (q Question, ok bool) {
	if len(d.queue) == 0 {
		return Question{}, false
	}
	q = d.queue[0]
	d.queue[0] = Question{}
	if d.queue = d.queue[1:]; len(d.queue) == 0 {
		d.queue = nil
	}
	return q, true
}

// Made takes in what came of a question, and how long that took; rest is for how long nothing else should be planned, so that
// planning takes its share of a core and no more. a may be nil.
func (d *Desk) Made(now time.Time, k Key, a *Advice, v Verdict, took time.Duration) (rest time.Duration) {
	d.stats.Verdicts[v]++
	d.stats.Planning += took
	d.kept.Add(k, &entry{advice: a, made: now})
	return min(time.Duration(float64(took)*(1-share)/share), mostRest)
}

// Stats gives the counts so far.
func (d *Desk) Stats() Stats { return d.stats }
