// Package id makes and checks the names that Squall gives to things, and those that users give.
package id

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/squall-faas/squall/fault"
)

// Run identifies one run of a DAG or function. The caller mints it, so that a retried call names the same run.
// It is a UUIDv7: ids sort by the time they were minted.
type Run [16]byte

// NewRun mints an id. Safe for concurrent use.
func NewRun() Run { return Run(uuid.Must(uuid.NewV7())) }

// RunFromKey derives the run id that an idempotency key names within a scope: the same pair always gives the same id.
func RunFromKey(scope, key string) Run {
	return Run(uuid.NewSHA1(uuid.NameSpaceURL, []byte("squall:"+scope+"\x00"+key)))
}

// ParseRun reads the text form that String gives.
func ParseRun(s string) (Run, error) {
	u, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return Run{}, fault.New(fault.UnknownRun, "%q is not a run id: expect the form 0190a2c4-…, as the call returned it", s)
	}
	return Run(u), nil
}

// String is the canonical 36 character form.
func (r Run) String() string { return uuid.UUID(r).String() }

// IsZero reports whether r was never minted.
func (r Run) IsZero() bool { return r == Run{} }

// MarshalJSON gives the text form.
func (r Run) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// Token makes a random name of n hex digits for a process, an inbox or an incarnation.
func Token(n int) string {
	b := make([]byte, (n+1)/2)
	_, _ = rand.Read(b) // crypto/rand never fails on the platforms we build for
	return hex.EncodeToString(b)[:n]
}
