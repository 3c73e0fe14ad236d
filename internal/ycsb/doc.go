// Package ycsb is the model of the YCSB workloads (Cooper et al., Benchmarking Cloud Serving Systems with YCSB, SoCC
// 2010): property files in the original format and names, key and request distributions, records that can be verified,
// and the arrival of operations. It decides what is to be done and when it is due; package load does it.
//
//	file, -p overrides ── Properties ── New ──▶ Workload ─┬─ Stream    operations of one worker, from a seed
//	                                                      ├─ Codec     the bytes of a record, and whether they are right
//	                                                      └─ Arrivals  when operations are due
//
// There is no I/O but reading a property file, no goroutine and no clock. The same seed gives the same operations.
//
// What differs from the original: a record is one value, so that every target stores the same bytes. So an update writes
// a whole record, whatever writeallfields says, and a read gets one, whatever readallfields says. No target keeps keys in
// an order, so a scan reads the records that follow by number.
package ycsb
