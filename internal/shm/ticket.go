package shm

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/squall-faas/squall/fault"
)

// Ticket says where a value lies; whoever has it, and can open the file, can read the value. Its bytes travel as Bytes
// writes them.
type Ticket struct {
	owner [tokenLen]byte // names the directory
	name  [tokenLen]byte // names the file in it
	nonce [tokenLen]byte // stands in the file
	lead  uint8          // bytes from the payload's page to the payload
	size  int64          // of the payload
}

const (
	tokenLen  = 16
	ticketLen = 1 + 3*tokenLen + 1 + 8
	version   = 1
)

// Size of the value in bytes.
func (t Ticket) Size() int64 { return t.size }

// Bytes is the ticket as it travels.
func (t Ticket) Bytes() []byte {
	b := append(make([]byte, 0, ticketLen), version)
	b = append(b, t.owner[:]...)
	b = append(b, t.name[:]...)
	b = append(b, t.nonce[:]...)
	b = append(b, t.lead)
	return binary.BigEndian.AppendUint64(b, uint64(t.size))
}

// ParseTicket reads what Bytes wrote: unsupported for anything else.
func ParseTicket(b []byte) (Ticket, error) {
	var t Ticket
	if len(b) != ticketLen || b[0] != version {
		return t, fault.New(fault.Unsupported, "a ticket of %d bytes that this release does not read: send the value", len(b))
	}
	rest := b[1:]
	for _, token := range []*[tokenLen]byte{&t.owner, &t.name, &t.nonce} {
		rest = rest[copy(token[:], rest):]
	}
	t.lead, t.size = rest[0], int64(binary.BigEndian.Uint64(rest[1:]))
	if t.size < 1 || t.size > MaxSize || t.lead > mostLead {
		return t, fault.New(fault.Unsupported, "a ticket for %d bytes at %d: at most %d are shared", t.size, t.lead, MaxSize)
	}
	return t, nil
}

// file is where the value lies, within the directory of all owners. Tokens are hexadecimal there: no ticket leads out of it.
func (t Ticket) file() (owner, name string) {
	return hex.EncodeToString(t.owner[:]), hex.EncodeToString(t.name[:])
}

// head is how the file begins. The payload follows on the next page.
func (t Ticket) head() []byte {
	return append([]byte("squall shm 1\x00\x00\x00\x00"), t.Bytes()...)
}
