// Package forecast says, from what executors have learnt (package profile), what a run of a DAG would meet: what its nodes do,
// what there is to run on, how fast links are. It makes the planner's problem of that, and tells on how many observations each
// part rests. What nobody has measured it assumes; all assumptions are in this package.
//
//	graph, versions, inputs ──┐
//	executors ────────────────┼──▶ Make ──▶ planner.Problem, Basis
//	profile.Book ─────────────┘
//
// Everything is pure: no I/O, no clock. A Book's predictions are kept by the Book: who shares one takes turns.
package forecast
