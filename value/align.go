package value

// Align gives a payload of kind k in such a place that As reads the numbers of a typed array where they lie: data itself
// where that is so, or where it is anything else, and a copy otherwise. For what is read more often than it arrives: a
// message's bytes lie anywhere, and every As of an array that lies crooked is a copy of it.
func Align(k Kind, data []byte) []byte {
	a, ok := typedArray(k, data)
	if !ok {
		return data
	}
	if _, ok := a.direct(); ok {
		return data
	}
	return Copy(k, data)
}

// Copy is a copy of a payload of kind k, in such a place.
func Copy(k Kind, data []byte) []byte {
	lead := Lead(k, data)
	b := make([]byte, lead+len(data))[lead:]
	copy(b, data)
	return b
}

// Lead is how far behind a multiple of eight such a place begins, for a payload of kind k.
func Lead(k Kind, data []byte) int {
	a, ok := typedArray(k, data)
	if !ok {
		return 0
	}
	head := len(data) - len(a.data)
	return (8 - head%8) % 8
}

// typedArray reads a payload that is one, with numbers as this machine keeps them.
func typedArray(k Kind, data []byte) (a array, ok bool) {
	if k != CBOR {
		return a, false
	}
	a, ok, err := readArray(data)
	return a, ok && err == nil && len(a.data) > 0 && a.little == hostLittle
}

// MakePayload is make([]byte, n), in such a place that the numbers of a typed array of 64 KiB and more lie aligned once
// its payload is there.
func MakePayload(n int) []byte {
	const lead = 1 // the tag takes two bytes, the length five
	return make([]byte, lead+n)[lead:]
}
