// Package reuse decides how a node's cache scales (Faa$T, SoCC '21, §4): how many bytes each application's cachelet
// may hold, what is loaded before an application comes back, and over how many peers an object is spread. Everything
// here is policy: no I/O, no goroutines, no clock. Whoever runs it feeds what happened and carries out what it says.
//
//	touches ─┬─▶ Sketch ── Curve ─┐
//	         │                    ├─▶ Split ──▶ bytes of each cachelet
//	memory ──┼─▶ Pressure ─ budget┘
//	         │
//	         └─▶ Hot ─┬─ Record ──▶ Warm: what to load, and in which order
//	                  └─ Spread ──▶ over how many peers
//
// A Sketch tells from a small sample of the keys which share of the accesses would hit in a cache of each size. Split
// gives the budget to where a byte saves the most misses. Pressure says what the budget is while other parts of the
// process need memory too.
package reuse
