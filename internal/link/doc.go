// Package link carries messages between two lives of nodes over the bus, which may lose, repeat and reorder them:
// numbered, in order, each delivered once, acknowledged cumulatively and off the critical path.
//
//	sender                                   receiver
//	Send ── Frame seq 1 ───────────────────▶ deliver
//	     ── Frame seq 2 ─────── lost
//	     ── Frame seq 3 ───────────────────▶ a gap: dropped
//	     ◀────────────────────── Ack seq 1 ── 10 ms after the first unacknowledged frame
//	     ── Frame seq 2, 3 again ──────────▶ deliver, deliver
//
// A window of frames and bytes bounds what is on the way to one peer; past it the sender keeps its messages. A peer
// is lost when the transport says that nobody subscribes to its inbox any more, when another incarnation answers for
// it, or when it acknowledges nothing for too long.
package link
