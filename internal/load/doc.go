// Package load runs workloads of package ycsb against a target, measures what they do, and reports it.
//
//	Workload ─▶ workers, each with a Stream ─▶ Target     memory, null, Squall's keys, functions, HTTP, JetStream, Redis
//	              │ closed loop: the next call when the last one is answered
//	              │ open loop:   each call when it is due, latency from then and from its start
//	              ▼
//	           recorders, one a worker ─▶ Run ─▶ Report ─▶ table, JSON, HDR log, plots, compare
//
// In an open loop the calls are due at the times that an arrival process gives, whether or not earlier ones have been
// answered. Where all workers are busy a call starts late; its latency from the intended start says so, which the latency
// from the actual start does not (coordinated omission).
//
// With integrity, every read is verified, and after the run everything that was acknowledged is read back from where it is
// stored: see Integrity.
package load
