package xfer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/squall-faas/squall/fault"
)

// Secret is what capabilities are made with and checked against. Nodes that hold copies of the same values share one.
type Secret [32]byte

// NewSecret draws one.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s[:]) // never fails on the platforms we build for
	return s
}

// String hides it from logs.
func (Secret) String() string { return "(secret)" }

// GoString hides it from logs.
func (s Secret) GoString() string { return s.String() }

// Capability is the right to read one value until it expires; whoever has the bytes has the right.
type Capability []byte

// capabilityLen is an expiry in Unix milliseconds (8 bytes) and an HMAC-SHA256.
const capabilityLen = 8 + sha256.Size

// domain keeps codes of this kind apart from any other use of the same secret.
const domain = "squall xfer capability 1"

// Mint makes the capability to read ref in a namespace until expires, to the millisecond.
func (s Secret) Mint(namespace string, ref Ref, expires time.Time) Capability {
	c := binary.BigEndian.AppendUint64(make([]byte, 0, capabilityLen), uint64(expires.UnixMilli()))
	return s.code(c, namespace, ref)
}

// code appends the HMAC of the expiry in c, and of what it is for, to c. Lengths stand before the texts, so that no two
// (namespace, key, version) have the same input.
func (s Secret) code(c []byte, namespace string, ref Ref) []byte {
	in := make([]byte, 0, 256)
	in = append(in, domain...)
	in = append(in, c...)
	for _, text := range []string{namespace, ref.Key, ref.Version} {
		in = binary.BigEndian.AppendUint32(in, uint32(len(text)))
		in = append(in, text...)
	}
	h := hmac.New(sha256.New, s[:])
	h.Write(in)
	return h.Sum(c)
}

// check refuses, as unauthorized, a capability that none of the secrets made for ref, or one that has expired. It takes
// as long for a code that is nearly right as for any other wrong one.
func (c Capability) check(secrets []Secret, namespace string, ref Ref, now time.Time) error {
	if len(c) != capabilityLen {
		return fault.New(fault.Unauthorized, "a capability of %d bytes: bring the one of %d bytes that came with the reference", len(c), capabilityLen)
	}
	known := false
	for _, s := range secrets {
		want := s.code(append(make([]byte, 0, capabilityLen), c[:8]...), namespace, ref)
		known = hmac.Equal(want, c) || known
	}
	if !known {
		return fault.New(fault.Unauthorized, "the capability is not for this value: bring the one that came with the reference")
	}
	if expires := time.UnixMilli(int64(binary.BigEndian.Uint64(c))); !now.Before(expires) {
		return fault.New(fault.Unauthorized, "the capability expired at %s: ask for a new one", expires.UTC().Format(time.RFC3339))
	}
	return nil
}
