// Package executor is one node that runs functions: its slots, its part of every run that touches it, and the local
// bus between functions on the node.
//
// A run's part here is an activity: the pure machine of package dag, and a thin shell that does what the machine
// says. A function's result goes into the machine on the goroutine that ran the function; where the next step is on
// this node too, the same goroutine runs it with the same slot. Such a hop is a function call: it touches neither
// the bus nor a codec (SAND §3).
//
//	inbox ──▶ activity.step(event) ──▶ commands ──▶ Invoke   slot, arguments resolved, function, step again
//	                  ▲                             Pass     to another executor's inbox
//	                  └──────── result ◀────────────Reply    straight to the caller
package executor
