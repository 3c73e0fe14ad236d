package wire

import "time"

// Value is one value in a message: inline, or offloaded to where its reference says.
type Value struct {
	Inline []byte   `cbor:"1,keyasint,omitempty"` // wire form of a value.Value
	Far    *FarAway `cbor:"2,keyasint,omitempty"`
}

// FarAway refers to an offloaded value. One that cannot be resolved triggers recovery, never a wrong value: its bytes
// are checked against the hash.
type FarAway struct {
	Key  string `cbor:"1,keyasint"` // in the namespace's system space
	Size int    `cbor:"2,keyasint"` // bytes of the wire form
	Hash uint64 `cbor:"3,keyasint"` // xxhash64 of the wire form
}

// Len is how many bytes the value has, wherever it is.
func (v Value) Len() int {
	if v.Far != nil {
		return v.Far.Size
	}
	return len(v.Inline)
}

// Remaining is a deadline as it travels: the time left in nanoseconds; 0 is none.
type Remaining int64

// Until gives what remains at now of a deadline; an expired one is the least that is still a deadline.
func Until(deadline, now time.Time) Remaining {
	if deadline.IsZero() {
		return 0
	}
	return Remaining(max(deadline.Sub(now), 1))
}

// Deadline turns it back into a time on this node's clock.
func (r Remaining) Deadline(now time.Time) time.Time {
	if r == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(r))
}
