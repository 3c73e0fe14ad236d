package kvs

import "context"

// Headed is an entry whose value may not have been read yet: a store that keeps long values apart from their records can give
// the record alone, as
//
//	Head(ctx context.Context, key Key) (Headed, error)
//
// which is as fresh as Get, with the same errors, and costs no more. It is for those who may have the bytes from somewhere
// nearer.
type Headed struct {
	Entry       // whole where Rest is nil, else without its Value
	Size  int64 // bytes of the value's payload
	// Rest reads the value from the store; the entry is of this version, or of one that has replaced it meanwhile.
	Rest func(ctx context.Context) (Entry, error)
	// With gives the entry with a payload from elsewhere, which it keeps; unavailable where that is not this version's, by
	// the checksums in the record.
	With func(payload []byte) (Entry, error)
}
