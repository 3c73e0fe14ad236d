package value

import "bytes"

// expand rewrites the typed arrays inside b as plain lists. They come from a List of Values, or a Value inside a
// struct. The general decoder knows no typed arrays: it would drop the tag, and give a []byte field their raw bytes.
// It gives b itself where there are none.
func expand(b []byte) ([]byte, error) {
	if bytes.IndexByte(b, majorTag<<5|24) < 0 { // the first byte of every such tag
		return b, nil
	}
	found := false
	out, rest, err := expandItem(make([]byte, 0, len(b)+len(b)/4), b, maxLevels, &found)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, errTrailing
	case !found:
		return b, nil
	}
	return out, nil
}

func expandItem(dst, b []byte, levels int, found *bool) (out, rest []byte, err error) {
	major, n, rest, ok := readHead(b)
	if !ok {
		return nil, nil, errTruncated
	}
	if levels == 0 {
		return nil, nil, errTooDeep
	}
	children := n
	switch major {
	case majorArray:
	case majorMap:
		children = 2 * n
	case majorTag:
		if _, ok := tagNumbers(n); ok {
			return expandArray(dst, b, found)
		}
		children = 1
	default:
		item, rest, err := split(b, levels)
		return append(dst, item...), rest, err
	}
	if n > uint64(len(rest)) && major != majorTag {
		return nil, nil, errTruncated
	}
	dst = appendHead(dst, major, n)
	for range children {
		if dst, rest, err = expandItem(dst, rest, levels-1, found); err != nil {
			return nil, nil, err
		}
	}
	return dst, rest, nil
}

func expandArray(dst, b []byte, found *bool) (out, rest []byte, err error) {
	item, rest, err := split(b, maxLevels)
	if err != nil {
		return nil, nil, err
	}
	a, _, err := readArray(item)
	if err != nil {
		return nil, nil, err
	}
	*found = true
	dst = appendHead(dst, majorArray, uint64(a.len()))
	for i := range a.len() {
		dst = a.appendItem(dst, i)
	}
	return dst, rest, nil
}
