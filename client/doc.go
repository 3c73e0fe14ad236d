// Package client is the Go SDK: register functions, compose them into DAGs, call them, and read and write the state
// that they share.
//
// A [Client] comes from Connect, for a running cluster, from squall.Open, which starts a cluster inside the process,
// or from squall.Join, which adds this process's functions to a running cluster. Every error is a *fault.Error with a
// stable code.
package client
