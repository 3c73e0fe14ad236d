// Package coordinator owns runs: it knows the executors, pins a call to the versions of its functions, places its
// nodes, and recovers what a lost executor leaves behind. It is out of the data path: executors pass results on to
// each other, and the last one answers the caller.
//
// What it decides is pure: members (who lives), place (what runs where), dag.Recover (what must run again). The rest
// is a shell of message handlers around a table of open runs.
//
//	Call ──▶ resolve ──▶ admit ──▶ [store, if durable] ──▶ place ──▶ Deliver to each site with sources
//	                                                        ▲  │ no executor: wait a moment
//	 executor lost ──▶ Query survivors ──▶ Recover ──▶ Replan  ▼
//	 Report ──▶ the run is closed; whoever awaits it is told
package coordinator
