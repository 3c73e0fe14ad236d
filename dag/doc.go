// Package dag holds the graph of functions that users compose, and how a run of it advances.
//
// Everything here is pure: no I/O, no goroutines, no clock. A [Graph] is built with [New], or read from YAML or JSON
// with Parse, validated, and immutable from then on. A [Run] is one executor's part of one run: events and the time
// go in, commands come out. The same machine runs in every executor that a run touches, and in tests.
//
//	             Arrived, Finished, Failed, TimerFired, …
//	shell ─────────────────────────────────────────────────▶ Run.Step
//	      ◀─────────────────────────────────────────────────
//	             Invoke, Pass, Spread, Delegate, SetTimer, Reply
//
// A run spans sites: the executors that its [Plan] names. Each node has one home site, which alone decides it: it
// waits for the node's arguments, invokes it, retries it, and passes its output to the homes of its consumers. One
// site is the collector: it gathers the outputs of the graph, decides the terminal state once, and sends the only
// reply.
package dag
