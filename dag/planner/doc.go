// Package planner chooses, for all nodes and edges of a DAG together, on which executors each node runs and by which path
// each value travels: inline, local, direct or remote (SONIC, ATC 2021, §4).
//
// It is pure: no I/O, no clock. A [Problem] says what there is: the graph, what its nodes do ([Predict] makes that from
// profiles), the fleet with its queues, warm functions and links. [Solve] gives the best plan by the objective, what every
// other path of every edge would have come to, and the runners-up.
//
//	graph, sizes ──▶ Predict ──▶ work ─┐
//	executors, links, store, bus ──────┴─▶ Solve ──▶ placement of each node, path of each edge, times, cost
//	                                       Best      the same without alternatives and runners-up
//	                                       Reckon    what a given placement comes to
//
// # The model
//
// A stage is all nodes of one depth. What enters a stage is taken to travel at once: each transfer takes its path's latency,
// and as long as the most loaded resource on its way (network cards, the link, the store, the bus, memory, a disk) needs for
// all that the stage puts on it. So the parallel transfers of a fan-out are in each other's way, and a fan-out that is written
// to the store once leaves its producer's network card alone. A node waits for its values, for a free slot, and for a cold
// start; its cost is slots' time, traffic and requests. A join is taken to wait for all of its edges, and every condition to
// hold: what a run skips is not known before. See reckon for the details.
//
// # The search
//
// Viterbi over the stages, states being where the values are that are still needed. A stage of a general DAG may have several
// nodes, and then no single number says which of two states is better; so of each state all plans are kept that no other one
// is at least as good as in everything: when each value is there, when each slot is free, what it has cost. That is exact:
// with the whole budget used on small DAGs, the result is that of trying every plan (TestExact). Executors that nothing tells
// apart are tried once.
//
// On large DAGs it is a beam: each node gets its part of the budget, the plans that have reached most are extended first, the
// rest is dropped, and at last single moves are tried as long as they help. A Map's tasks are spread in any numbers only
// where that gives few ways, else evenly over sets of executors; of a fleet [MaxExecutors] are weighed. Result.Exact says
// whether any of that happened.
package planner
