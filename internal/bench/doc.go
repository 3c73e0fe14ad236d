// Package bench holds the benchmarks of `squall bench`. A suite starts what it measures as separate processes on
// loopback, measures in one run with its cases interleaved, so that noise hits all alike, verifies every answer, and
// reports rows and ratios in one form that all suites share:
//
//	Report{suite, env, rows, ratios} ── JSON, one object
//	                                 └─ tables, with the targets beside the ratios
//
// The baselines that a suite is compared with run in the same processes' company, over the same server, in the same
// rounds: only ratios of figures from one run mean anything on a shared machine.
package bench
