// Package gateway is the HTTP API of a namespace: call functions, run DAGs, register both, read and write state, and ask
// how things are (docs/http.md, and /openapi.json as the gateway serves it).
//
// It stands beside the SDK on internal/caller, so that a call fails with the same code wherever it comes from. What it
// adds is the HTTP: values as JSON or bytes, an error as application/problem+json, a revision as an ETag, and a bound on
// everything that a client may send or keep open.
//
//	request ─▶ token, host, encoding ─▶ route ─▶ flights ─▶ Caller ─▶ bus
//	                                      │        (waits for one run are one wait)
//	                                      └────▶ Store
//
// A plain sync call whose client goes away is cancelled. One with an Idempotency-Key, and a durable one, go on: their
// client is expected to come back for the outcome.
package gateway
