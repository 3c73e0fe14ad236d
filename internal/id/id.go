// Package id makes and checks the names that Squall gives to things, and those that users give.
package id

import (
	crypto "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/squall-faas/squall/fault"
)

// Run identifies one run of a DAG or function. The caller mints it, so that a retried call names the same run.
// It is a UUIDv7: ids sort by the time they were minted.
type Run [16]byte

// NewRun mints an id. Safe for concurrent use. The random part is not secret, so it comes from the runtime's own
// generator: the system's costs more than the rest of a small call's encoding.
func NewRun() Run {
	var r Run
	binary.BigEndian.PutUint64(r[:], uint64(time.Now().UnixMilli())<<16|0x7000|rand.Uint64()>>52)
	binary.BigEndian.PutUint64(r[8:], 1<<63|rand.Uint64()>>2)
	return r
}

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
	_, _ = crypto.Read(b) // crypto/rand never fails on the platforms we build for
	return hex.EncodeToString(b)[:n]
}
