// Package peer joins the caches of a namespace's executors: who is there, by their heartbeats; who owns a key, by rendezvous
// hashing (Thaler & Ravishankar 1998); and the questions that one cache asks another (cache.Peers). Small answers travel in
// the message; a large value is fetched from the data port of the node that has it, and of others that were given the same
// one lately, in ranges from all of them at once.
//
//	cache miss ──▶ Owner(app, key) ──Ask──▶ squall.<ns>.cache.<owner> ──▶ its cache, or the store
//	                                ◀─Told─ the value, or where it is: data ports, reference, capability
//
// It also tells how far this node's clock is off the fleet's (hlc.Skew), because heartbeats carry their senders' clocks.
package peer
