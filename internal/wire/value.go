package wire

import "time"

// Value is one value in a message: inline, or offloaded to where its reference says.
type Value struct {
	Inline []byte   `cbor:"1,keyasint,omitempty"` // wire form of a value.Value
	Far    *FarAway `cbor:"2,keyasint,omitempty"`
	Held   *Direct  `cbor:"3,keyasint,omitempty"`
}

// Direct refers to a value that an executor holds in its memory and gives out at its data port. One that cannot be resolved
// triggers recovery, never a wrong value: what comes is checked against Sum.
type Direct struct {
	Executor    string   `cbor:"1,keyasint"`            // that holds it
	Incarnation uint64   `cbor:"2,keyasint"`            // of what it holds; with ID the name of the value
	Port        string   `cbor:"3,keyasint"`            // its data port, host:port
	ID          string   `cbor:"4,keyasint"`            // also names its copy in the store, where there is one
	Kind        uint8    `cbor:"5,keyasint"`            // a value.Kind
	Size        int64    `cbor:"6,keyasint"`            // bytes of the payload
	Sum         uint64   `cbor:"7,keyasint"`            // of the payload as a whole (xfer.Sums)
	Capability  []byte   `cbor:"8,keyasint"`            // to read it
	Expires     int64    `cbor:"9,keyasint"`            // Unix milliseconds on the holder's clock, when it stops holding the value
	Host        string   `cbor:"10,keyasint,omitempty"` // where it can be shared by memory; "" for nowhere
	Others      []string `cbor:"11,keyasint,omitempty"` // data ports of executors that were given it before
	// Lent: it is an object in lent memory, under its ID, and not at the executor that has made it. Port is "" then.
	Lent bool `cbor:"12,keyasint,omitempty"`
}

// Away reports whether the value is not in the message.
func (v Value) Away() bool { return v.Far != nil || v.Held != nil }

// FarAway refers to an offloaded value. One that cannot be resolved triggers recovery, never a wrong value: its bytes
// are checked against the hash.
type FarAway struct {
	Key  string `cbor:"1,keyasint"` // in the namespace's system space
	Size int    `cbor:"2,keyasint"` // bytes of the wire form
	Hash uint64 `cbor:"3,keyasint"` // xxhash64 of the wire form
}

// Len is how many bytes the value has, wherever it is.
func (v Value) Len() int {
	switch {
	case v.Far != nil:
		return v.Far.Size
	case v.Held != nil:
		return 1 + int(v.Held.Size)
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
