package wasmbin

// appendU32 appends x as unsigned LEB128.
func appendU32(b []byte, x uint32) []byte {
	for x >= 0x80 {
		b = append(b, byte(x)|0x80)
		x >>= 7
	}
	return append(b, byte(x))
}

// appendS32 appends x as signed LEB128.
func appendS32(b []byte, x int32) []byte {
	for {
		c := byte(x) & 0x7f
		x >>= 7
		if (x == 0 && c&0x40 == 0) || (x == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte { return append(appendU32(b, uint32(len(s))), s...) }

// appendSized appends body with its length in front.
func appendSized(b, body []byte) []byte { return append(appendU32(b, uint32(len(body))), body...) }
