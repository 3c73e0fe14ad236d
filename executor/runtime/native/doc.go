// Package native is the runtime of Go funcs that are compiled into the executor, or into a program that embeds one.
//
// It isolates nothing: a native function is trusted, shares the process, and cannot be made to stop. A call is a
// method call with a recover around it. What it contains are panics and errors; what it cannot contain, the executor
// reports.
package native
