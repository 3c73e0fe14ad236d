// Package history records what runs read and wrote, and checks afterwards, offline, whether each consistency level kept
// its promise. All of it is pure: a history goes in, violations come out.
//
// Every write carries a value of its own, its write id, so that a read tells exactly which writes it saw. That is what
// makes the checks polynomial (Biswas & Enea, OOPSLA '19; Bouajjani et al., POPL '17): only linearizability is searched
// for, of registers, per key and within a time limit, by porcupine.
//
//	level    rules, beside those of all levels
//	all      thin_air  lost_write  diverged  counter
//	lww      siblings_shown
//	rr       siblings_shown  unrepeatable_read  own_write
//	sk       replaced_sibling  causal_cycle  went_back
//	mk       replaced_sibling  causal_cycle  node_cut
//	dsc      replaced_sibling  causal_cycle  unrepeatable_read  own_write  missed_dependency  cut
//	strong   siblings_shown  not_linearizable  undecided
//	txn      siblings_shown  G0  G1a  G1b  G1c  G-single  G2
//
// # What binds whom
//
// A run's promise binds it only if it succeeded, and of each call only the attempt that counted: what a crashed attempt
// read concerns nobody. What others may see of it, its writes, is judged all the same. What a node promises (mk) and what
// the store promises (lost_write, strong) hold whatever became of the run.
//
// # Causal order
//
// Operation a is causally before b if both are of one session and a comes first in program order (the order within a
// call, and After between calls), or if b read or replaced what a wrote, and so on transitively. Program order between
// calls is known only where it is known which attempt ran; where it is not, none is assumed, so the checks may miss
// something there but raise no false alarm.
//
// A write whose result is not known, or that failed, orders nothing that its session does afterwards: it was told of an
// error. Keys must not expire: an expiry is nobody's operation.
//
// A version is older than write w of the same key if w replaced one of its values (Op.Replaces, transitively), or if all
// of its values are causally before w. A version that is merely concurrent with w is not older: Cloudburst (§5.1) allows it.
package history
