// Package fault holds the one error type that crosses every boundary of Squall.
//
// The same [Error] is the Go error a caller unwraps with errors.As, the body of an error reply between nodes,
// and the application/problem+json document of the HTTP gateway. Programs branch on its [Code], which is stable
// and append-only; the message is for people and may change.
package fault
