// Package composetest holds the test of docker-compose.yml: it starts the cluster, uses it from outside as its users do, does
// it harm, and counts what was lost. It needs a Docker engine:
//
//	make compose-test
package composetest
