package ycsb

import "strconv"

// AppendKey appends the key of a record by its number: the table, a slash, and YCSB's name, which is the prefix and the
// number's hash, or the number itself where records are ordered.
func (w *Workload) AppendKey(dst []byte, record int64) []byte {
	dst = append(append(dst, w.Table...), '/')
	dst = append(dst, w.KeyPrefix...)
	if !w.Ordered {
		record = hash64(record)
	}
	var digits [20]byte
	number := strconv.AppendInt(digits[:0], record, 10)
	for range w.Padding - len(number) {
		dst = append(dst, '0')
	}
	return append(dst, number...)
}

// Key is AppendKey as a string.
func (w *Workload) Key(record int64) string {
	var b [64]byte
	return string(w.AppendKey(b[:0], record))
}

// CounterKey is the key of a counter by its number.
func (w *Workload) CounterKey(n int64) string {
	return w.Table + "/counter" + strconv.FormatInt(n, 10)
}
