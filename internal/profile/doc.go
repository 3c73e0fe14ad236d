// Package profile learns online what functions and links do: from the size of a function's input the size of its output
// and its run time, what its cold start takes, beyond which time a run is a straggler, and of each link bandwidth and
// latency (SONIC §4.1, which profiles first runs and regresses on the input's size).
//
//	executors ── Run, ColdStart ──▶ Function ──┐
//	          ── Transfer ────────▶ Link ──────┴─▶ Book ── Encode, Merge ──▶ store, other executors
//	                                                └─ Predict, Slow, Estimate ──▶ planner, hedging
//
// Everything is pure: no I/O and no clock, times come with what was observed. What is kept is bounded: a function has at
// most [MaxRuns] runs, a link at most [MaxTransfers]. Nothing here is safe for concurrent use.
//
// # Robustness
//
// Lines are fitted by repeated medians (Siegel, Biometrika 1982): the median over all points of the median slope to all
// others. It withstands up to half of the points being wrong; Theil and Sen's median of all slopes withstands 29 %, least
// squares none. With at most 64 points it costs a millisecond, and only when asked after something new was observed.
//
// A line is fitted twice, to sizes as they are and to their logarithms: the first knows fixed costs (a + b·size), the
// second powers (c·size^k). The one with the smaller median error of ratios is used.
package profile
