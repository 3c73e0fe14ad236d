// Package cluster assembles nodes: one executor or coordinator over a backbone, or a whole cluster in one process, for
// squall.Open, `squall dev`, the demo and tests.
package cluster
