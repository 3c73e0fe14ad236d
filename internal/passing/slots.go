package passing

import (
	"github.com/squall-faas/squall/dag"
)

// argument notes that one argument of a node is at an executor.
func (s *Runner) argument(n, k int) {
	if s.nodes[n].missing[k]--; s.nodes[n].missing[k] == 0 {
		s.ready(n, k)
	}
}

// ready queues a node's tasks on an executor.
func (s *Runner) ready(n, k int) {
	if s.Graph.Nodes[n].Kind == dag.Reduce {
		s.level(n, k)
		return
	}
	for range s.a.Share[n][k] {
		s.hosts[k].line = append(s.hosts[k].line, task{n, s.Work[n].Took.Seconds()})
	}
	s.start(k)
}

// level queues the next level of a Reduce's tree.
func (s *Runner) level(n, k int) {
	p := &s.nodes[n]
	if p.levels == len(s.Work[n].Levels) {
		s.finished(n)
		return
	}
	l := s.Work[n].Levels[p.levels]
	p.levels++
	p.left = l.Calls
	for range l.Calls {
		s.hosts[k].line = append(s.hosts[k].line, task{n, l.Took.Seconds()})
	}
	s.start(k)
}

// start runs what there are slots for.
func (s *Runner) start(k int) {
	m := &s.hosts[k]
	for m.slots > 0 && len(m.line) > 0 {
		x := m.line[0]
		m.line = m.line[1:]
		m.slots--
		name := s.Graph.Nodes[x.node].Function
		speed := s.Fleet.Executors[k].Speed
		if speed == 0 {
			speed = 1
		}
		took := x.took / speed
		if m.idle[name] > 0 {
			m.idle[name]--
		} else {
			took += s.Work[x.node].Cold.Seconds()
		}
		s.after(took, func() {
			m.slots++
			m.idle[name]++
			if p := &s.nodes[x.node]; p.left == 1 && s.Graph.Nodes[x.node].Kind == dag.Reduce {
				s.level(x.node, k)
			} else if p.left--; p.left == 0 {
				s.finished(x.node)
			}
			s.start(k)
		})
	}
}

func (s *Runner) finished(n int) {
	s.outcome.Finish[n] = s.now
	s.outcome.Seconds = max(s.outcome.Seconds, s.now)
	s.open--
	s.made(s.Graph.NodeSource(n))
}
