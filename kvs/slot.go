package kvs

import "strings"

// Slots is how many slots there are; Store.Slot gives one of 0 to Slots-1.
const Slots = 4096

// Tag is the part of the key that decides its slot: what stands in its first braces if that is not empty, as in
// "user:{42}:name", else the whole key.
func (k Key) Tag() string {
	s := string(k)
	if i := strings.IndexByte(s, '{'); i >= 0 {
		if n := strings.IndexByte(s[i+1:], '}'); n > 0 {
			return s[i+1 : i+1+n]
		}
	}
	return s
}
