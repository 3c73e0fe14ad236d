// Package sched decides which worker runs a job, and when: work moves to where its data is, and is bound only against a free
// slot. It is pure: the time comes in, and there is no I/O, no goroutine and no lock. Two halves talk by messages:
//
//	coordinator                                            executor
//	Scheduler  ◀── View: load, credits, digest of keys ─── Ledger, Digest
//	           ─── a job, and the credit that it spends ─▶
//
//	Submit ──▶ credit known ───────────────────────────────────────────────▶ Bind
//	   │          │ its data is elsewhere, and worth a short wait
//	   │          └──▶ parked ── that worker's credit, or patience over ──▶ Bind
//	   ├──▶ no credit: queued by application ── a credit, fair turn ──────▶ Bind ── Returned ──▶ Submit
//	   ├──▶ queue full ───────────────────────────────────────────────────▶ Reject (overloaded, retry after)
//	   └──▶ the last worker that could run it is lost ────────────────────▶ Strand
//
// Late binding is Kaffes et al. '19 (centralised, core-granular): nothing waits behind a long job while a core idles. That
// asks for a message between the end of one job and the start of the next. For short jobs an executor hides it: it grants as
// many credits ahead as it will work off while its next word is on the way, a window as TCP's. Waiting a moment for the
// worker that has the data is delay scheduling (Zaharia et al. '10); two random choices under stale views are Mitzenmacher
// '01; shares among applications are start-time fair queueing (Goyal et al. '96), in slot time; concentrating an
// application on few workers, its cachelets, is Faa$T §4.1 and FnSched.
package sched
