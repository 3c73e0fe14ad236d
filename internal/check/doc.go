// Package check runs a whole cluster in this process, has concurrent runs read and write the same few keys through it while
// nodes are killed and cut off, pushes are lost and the store goes away, and records what every function read and wrote: a
// history for package history to judge. It works in real time, and in virtual time within testing/synctest.
//
//	workload ──▶ runs (chains, diamonds) ──▶ functions on several executors ──▶ recorder ──▶ history
//	faults ────▶ executors, network, store, feeds, clocks ──────────────────────────┘
package check
