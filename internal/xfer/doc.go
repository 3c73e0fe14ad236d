// Package xfer is the data port of a node: large values move between peers over plain TCP, beside the bus, in ranges
// that are fetched in parallel from several peers that hold the same value.
//
//	fetching node                                    nodes that hold the value
//	Client.Fetch                                     Server ─ Source.Open(ref)
//	  plan: ranges 0 1 2 3 4 …
//	  ├─ stream ── read ref, range 0 ──────────────▶ peer A
//	  │          ◀── size, checksum, raw bytes ─────
//	  ├─ stream ── read ref, range 1 ──────────────▶ peer B   stalls: range 1 goes back and is taken by A or C
//	  └─ stream ── read ref, range 2 ──────────────▶ peer C
//
// Who has a free stream takes the next range, so a fast peer serves more than a slow one; when none is left, a peer
// that is much faster takes over what a slow one has under way. What to do is decided by plan, which does no I/O; a
// Fetch is the shell around it. The bytes on the wire are described in docs/formats/xfer.md.
//
// A server shows a value only to who brings a capability for it: a code over the namespace, the reference and an expiry
// under a secret that the nodes share. Neither values nor capabilities are encrypted on the way: where the network is
// not trusted, give the server a TLS listener and the client a TLS dialer.
//
// The checksum of a range is its sender's: it finds what went wrong on the way, not a peer that holds a wrong value.
package xfer
