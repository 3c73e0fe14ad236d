// Package runtimetest is the conformance suite of runtime.Runtime: the same functions (testdata/functions), run by
// every runtime, give the same results and the same faults. Only tests import it.
package runtimetest
