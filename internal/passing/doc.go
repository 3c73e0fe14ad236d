// Package passing executes plans of package planner on simulated fleets, to tell how long they really take: the yardstick
// that the planner is held against, and so independent of its cost model.
//
// [Run] executes in virtual time. It is a discrete-event simulation of every transfer and every call: transfers share what
// they pass through by max-min fairness, as TCP flows in equilibrium do (Bertsekas and Gallager, Data Networks, §6.5.2), and
// rates change whenever a transfer begins or ends; executors keep queues, slots and instances of functions. It looks at no
// stage and adds up no loads, as the planner does.
//
// [Real] executes in real time: bytes travel over loopback TCP connections through an in-process proxy that holds them to
// bandwidth and latency, and are checked where they arrive; functions take their time. It shows that Run tells the truth.
//
//	a plan ──▶ Run   (virtual time: every cell of a benchmark, each in microseconds)
//	       └─▶ Real  (real time: some cells, to hold Run against)
package passing
