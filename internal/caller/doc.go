// Package caller submits calls and awaits their outcomes. The SDK, the HTTP gateway and a function's Context share
// it, so that a call fails with the same code wherever it comes from.
//
// A call names a run by an id that the caller mints. Its outcome comes as a message to the caller's one inbox; an
// outcome that comes too late finds nobody waiting for that id and is dropped, never handed to another call. While a
// call is open for long, the caller asks the coordinators whether the run is alive, so that the loss of a message, of
// an executor or of a coordinator ends in a result or an error, never in a hang.
package caller
