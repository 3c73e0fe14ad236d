// Package advice decides when a plan of package planner is worth following, and keeps what was decided: it is the core of the
// coordinator's adviser.
//
//	a run is placed ──▶ Desk.Look ──▶ advice, if there is any that is not too old
//	                        └──▶ Desk.Ask, a bounded queue ──▶ Make, in the background ──▶ Desk.Made
//
// Advice is of one version of a DAG on inputs of one order of magnitude. It names roles rather than executors: which nodes
// belong together, and which are better apart. Who plays a role is settled when a run is placed, by the load of that moment.
//
// Everything is pure: no I/O, no clock, no goroutine.
package advice
