package ycsb

import "fmt"

// The shapes of DAGs.
const (
	Chain   = "chain"   // a → b → c …
	FanOut  = "fanout"  // one source, a list of parts each worked on by a call of one function, one join
	Diamond = "diamond" // one source, branches that are chains, one join
)

// DAG is a workload of DAGs: an operation is one run of one of Functions DAGs, the popular ones more often (zipfian).
type DAG struct {
	Shape     string
	Length    int   // of a chain, or of each branch of a diamond, in nodes
	Width     int   // parts of a fan-out, or branches of a diamond
	Payload   int   // bytes that pass along each edge
	Functions int64 // different DAGs, each with a function of its own
	State     float64
	Writes    float64
}

// Access is what one node of a run does to state.
type Access struct {
	Node   int // from 0, in the order in which nodes may run
	Record int64
	Write  bool
}

func readDAG(r *reader, wanted bool) *DAG {
	d := &DAG{
		Shape:  r.text("dag.shape", Chain, Chain, FanOut, Diamond),
		Length: int(r.integer("dag.length", 0, 0, 1000)), Width: int(r.integer("dag.width", 0, 0, 1000)),
		Payload: int(r.integer("dag.payload", 100, 0, maxRecord)), Functions: r.integer("dag.functions", 1, 1, 10_000),
		State: r.number("dag.stateproportion", 0, 0, 1), Writes: r.number("dag.writeproportion", 0.5, 0, 1),
	}
	d.defaults()
	if !wanted {
		for _, name := range []string{"dag.shape", "dag.length", "dag.width", "dag.payload", "dag.functions", "dag.stateproportion", "dag.writeproportion"} {
			if _, said := r.p.said[name]; said {
				r.fail(name, "this is a workload of keys: write workload=dag too, or take it out")
				break
			}
		}
		return nil
	}
	const most = 2000 // nodes
	if d.Nodes() > most {
		r.fail("dag.width", "the DAG would have %d nodes, at most %d are allowed: write a smaller width or length", d.Nodes(), most)
	}
	if d.State > 0 && r.integer("recordcount", 0, 0, 1<<55) == 0 && len(r.wrong) == 0 {
		r.fail("dag.stateproportion", "there are no records that nodes could read and write: write recordcount=1000, or how many there are to be")
	}
	return d
}

// defaults sets the sizes that were not said, by shape.
func (d *DAG) defaults() {
	if d.Length == 0 {
		d.Length = map[string]int{Chain: 3, Diamond: 1}[d.Shape]
	}
	if d.Width == 0 {
		d.Width = map[string]int{FanOut: 10, Diamond: 2}[d.Shape]
	}
}

// Nodes is how many calls a run makes: of a fan-out the source, the parts and the join; of a diamond the source, the
// branches, and the joins, each of two branches.
func (d *DAG) Nodes() int {
	switch d.Shape {
	case Chain:
		return d.Length
	case FanOut:
		return 1 + d.Width + 1
	}
	return 1 + d.Width*d.Length + max(d.Width-1, 1)
}

// String describes the DAG for reports.
func (d *DAG) String() string {
	switch d.Shape {
	case Chain:
		return fmt.Sprintf("chain of %d", d.Length)
	case FanOut:
		return fmt.Sprintf("fan-out over %d", d.Width)
	}
	return fmt.Sprintf("diamond of %d × %d", d.Width, d.Length)
}

// draw fills in what the nodes of a run do to state.
func (s *Stream) draw(op *Op) {
	d := s.w.DAG
	s.access = nil // a call may have several operations
	if d.State == 0 {
		return
	}
	for node := range d.Nodes() {
		if s.r.Float64() < d.State {
			s.access = append(s.access, Access{Node: node, Record: s.keys.next(s.r), Write: s.r.Float64() < d.Writes})
		}
	}
	op.Access = s.access
}
