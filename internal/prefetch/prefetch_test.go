package prefetch

import (
	"bytes"
	"testing"
	"unsafe"
)

// TestLines: memory is as it was, and memory that is not there is no fault.
func TestLines(t *testing.T) {
	b := bytes.Repeat([]byte{7}, 10*Line)
	for n := range 12 { // beyond the end, too
		Lines(unsafe.Pointer(&b[0]), max(n, 1))
	}
	Lines(nil, 4)
	if !bytes.Equal(b, bytes.Repeat([]byte{7}, 10*Line)) {
		t.Errorf("%v", b)
	}
}
