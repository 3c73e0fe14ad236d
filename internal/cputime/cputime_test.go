package cputime

import (
	"os"
	"runtime"
	"testing"
)

func TestOf(t *testing.T) {
	before, ok := Of(os.Getpid())
	if !ok {
		if runtime.GOOS == "linux" {
			t.Fatal("this process has no CPU time")
		}
		t.Skipf("not known on %s", runtime.GOOS)
	}
	sum := 0
	for after := before; after == before; after, _ = Of(os.Getpid()) { // ends when some time is used
		for i := range 1 << 16 {
			sum ^= i
		}
	}
	if d, ok := Of(1 << 30); ok {
		t.Errorf("a process that cannot exist: %v", d)
	}
	runtime.KeepAlive(sum)
}
