// Package squall is a stateful dataflow FaaS: register functions, compose them into DAGs, call them. Functions read and
// write shared state at memory speed, because every executor carries a cache of the key-value store beside them.
//
// [Open] starts a whole cluster inside this process; [Join] adds this process's functions to a running one; a program
// that only calls uses client.Connect. All three give a client.Client.
package squall
