// Package coded keeps objects of 0 bytes to 16 GiB in memory that idle executors lend: cut into stripes of d data and p
// parity shards (Reed–Solomon), each column of which lies with another lender, so that any p of them may go without a miss
// (after InfiniCache, Wang et al., FAST 2020).
//
//	Tier.Put ── stripe ── encode ──▶ lenders of columns 0 … d+p-1 ── all hold theirs ──▶ catalog: this is the version now
//	Tier.Get ── catalog: which version, who holds it ──▶ d lenders, others as hedges ──▶ stripes, in order
//	Keeper   ── a lender has vanished ──▶ rebuild its columns elsewhere ──▶ catalog: who holds them now
//
// What is current is an entry of the store for each key (wire.Object), replaced by compare-and-set and read with a proof
// that it is current; shards are named by the version, which no two contents share. So a reader never mixes versions, an
// overwritten value is not served once its successor was acknowledged, a write that dies halfway leaves the old value
// whole, and of several at a time one is current in the end. DESIGN.md tells why it is so and what was dropped.
//
// The parts that decide are pure and have packages of their own: layout (how an object is cut), placement (where its columns
// go), firstd (how a stripe is read), lend (what a lender gives and evicts), upkeep (what is repaired and moved first).
package coded
