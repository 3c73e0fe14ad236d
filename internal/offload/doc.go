// Package offload keeps large values out of messages: it is the one layer under all message paths that decides which
// values of a message travel inline and which wait in the store, and that brings the latter back.
//
//	Out(v, w)                            message                     In, InAll
//	  v 1 KiB   ───── wire form ─────▶   {Inline: …}         ─────▶  v
//	  w 9 MiB   ──┐                      {Far: key, size, hash} ──┐  w, checked against size and hash
//	              └──▶ store, with TTL ◀──────────────────────────┘
//
// A reference lives until Discard or until its TTL. One that cannot be resolved is unavailable, never a wrong value.
package offload
