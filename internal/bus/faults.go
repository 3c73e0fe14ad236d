package bus

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// anyNode in a cut or a rule stands for every node, and for the server between them.
const anyNode = ""

// Rule makes a part of the traffic unreliable. Of several rules that apply to a message each adds its faults.
type Rule struct {
	// From and To are the nodes of the link; empty for any.
	From, To string
	// Subject is the pattern of subjects; empty for any.
	Subject string

	// Drop, Duplicate and Reorder are probabilities, 0 to 1. A reordered message is held back on its own, for a time
	// out of the delay range (1 to 10 ms without one), while later ones pass it.
	Drop, Duplicate, Reorder float64
	// MinDelay to MaxDelay is the range that each message's delay is drawn from. A link keeps its order: a message
	// also waits for the one before it.
	MinDelay, MaxDelay time.Duration
}

func (r Rule) validate() error {
	for _, p := range []float64{r.Drop, r.Duplicate, r.Reorder} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("probability %v: use 0 to 1", p)
		}
	}
	if r.MinDelay < 0 || r.MaxDelay < r.MinDelay {
		return fmt.Errorf("delay from %v to %v: use a range", r.MinDelay, r.MaxDelay)
	}
	if r.Subject != "" {
		return CheckPattern(r.Subject)
	}
	return nil
}

// rule is a Rule in force.
type rule struct {
	Rule
	id uint64 // seeds its fates
}

func (r *rule) applies(from, to, subject string) bool {
	return (r.From == anyNode || r.From == from) && (r.To == anyNode || r.To == to) && (r.Subject == "" || Match(r.Subject, subject))
}

// Inject puts a rule in force until the returned function is called. It panics on a rule that makes no sense, which
// is a mistake in the test.
func (n *Network) Inject(r Rule) (stop func()) {
	if err := r.validate(); err != nil {
		panic("bus: fault rule: " + err.Error())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ruled++
	in := &rule{r, n.ruled}
	n.rules = append(n.rules, in)
	n.faulty.Store(true)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.rules = slices.DeleteFunc(n.rules, func(x *rule) bool { return x == in })
	}
}

// Partition loses everything between a and b, silently, in both directions.
func (n *Network) Partition(a, b string) { n.cut([2]string{a, b}, [2]string{b, a}) }

// PartitionOneWay loses everything on its way from one node to the other, silently.
func (n *Network) PartitionOneWay(from, to string) { n.cut([2]string{from, to}) }

// Isolate loses everything from and to node, silently: the network is a black hole and nobody knows yet. Its own
// messages to itself are lost too, for they cross the server.
func (n *Network) Isolate(node string) {
	n.cut([2]string{node, anyNode}, [2]string{anyNode, node})
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.node == node {
			c.cutOff = true
		}
	}
}

// Disconnect breaks the node's connection so that both ends know: others get no responders where only it subscribed,
// and what it publishes waits, up to 8 MiB, and is sent when it is healed.
func (n *Network) Disconnect(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.node == node {
			c.detached, c.cutOff = true, true
		}
	}
}

// Heal ends every partition, isolation and disconnection that concerns one of nodes, or all of them where none is
// named. Rules stay. Nodes that are connected again run their OnReconnect functions.
func (n *Network) Heal(nodes ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	concerns := func(node string) bool { return len(nodes) == 0 || slices.Contains(nodes, node) }
	for c := range n.cuts {
		if concerns(c[0]) || concerns(c[1]) {
			delete(n.cuts, c)
		}
	}
	var back []*conn
	for c := range n.conns {
		if concerns(c.node) && c.cutOff {
			c.detached, c.cutOff = false, false
			back = append(back, c)
		}
	}
	slices.SortFunc(back, func(a, b *conn) int { return a.number - b.number }) // a map's order would not replay
	for _, c := range back {
		buffer := c.buffer
		c.buffer, c.buffered = nil, 0
		for _, m := range buffer {
			n.routeLocked(c, m)
		}
		for _, f := range c.reconnect {
			c.handlers.Go(f)
		}
	}
}

// Crash ends every connection of node at once, as SIGKILL does: its subscriptions are gone, what was queued for them
// is lost, its Bus returns ErrClosed. Messages that it had sent are still delivered. Crash does not wait; a handler
// under way runs on, unheard. Join brings the node back.
func (n *Network) Crash(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.node == node {
			n.endLocked(c)
		}
	}
}

func (n *Network) cut(pairs ...[2]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range pairs {
		n.cuts[p] = true
	}
	n.faulty.Store(true)
}

// cutLocked reports whether nothing gets from one node to the other; to anyNode, whether nothing gets to the server.
func (n *Network) cutLocked(from, to string) bool {
	return n.cuts[[2]string{from, anyNode}] || to != anyNode && (n.cuts[[2]string{from, to}] || n.cuts[[2]string{anyNode, to}])
}

// FaultKind names what happened to a message.
type FaultKind int

// The kinds of faults.
const (
	Drop      FaultKind = iota // lost by a Rule
	Duplicate                  // delivered twice by a Rule
	Delay                      // late by a Rule
	Reorder                    // held back by a Rule, so that later ones may pass
	Cut                        // lost to a partition or isolation
	Overflow                   // lost because a subscription's queue was full
	kinds
)

var kindNames = [kinds]string{"drop", "duplicate", "delay", "reorder", "cut", "overflow"}

// String is the kind's name.
func (k FaultKind) String() string {
	if k >= 0 && k < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("fault(%d)", int(k))
}

// FaultEvent is one fault of one message.
type FaultEvent struct {
	Kind     FaultKind
	From, To string // nodes; To is empty for what did not leave its node
	Subject  string
}

type counters [kinds]atomic.Uint64

func (n *Network) record(k FaultKind, from, to, subject string) {
	n.counts[k].Add(1)
	if f := n.opts.OnFault; f != nil {
		f(FaultEvent{k, from, to, subject})
	}
}

// Count tells how many messages had a fault of kind k, so that a test can assert that its faults really happened.
func (n *Network) Count(k FaultKind) uint64 { return n.counts[k].Load() }
