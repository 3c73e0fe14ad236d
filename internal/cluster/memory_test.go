package cluster

import (
	"os"
	"testing"
	"testing/fstest"
)

// TestMemoryMeter: of the machine's bound and the container's the one that leaves least counts, and clean pages of files are
// not used.
func TestMemoryMeter(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	machine := file("MemTotal: 4000 kB\nMemFree: 10 kB\nMemAvailable: 3000 kB\n")
	calm, pressed := file("some avg10=9.99 avg60=0.00 avg300=0.00 total=1\n"), file("some avg10=10.00 avg60=0.00 avg300=0.00 total=1\n")
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  memoryUse
	}{
		"machine":          {fstest.MapFS{"proc/meminfo": machine, "proc/pressure/memory": calm}, memoryUse{4_096_000, 1_024_000, false}},
		"machine is short": {fstest.MapFS{"proc/meminfo": machine, "proc/pressure/memory": pressed}, memoryUse{4_096_000, 1_024_000, true}},
		"container": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("0::/squall\n"), "proc/pressure/memory": calm,
			"sys/fs/cgroup/squall/memory.max": file("1000000\n"), "sys/fs/cgroup/squall/memory.current": file("600000\n"),
			"sys/fs/cgroup/squall/memory.stat": file("anon 1\ninactive_file 100000\n"), "sys/fs/cgroup/squall/memory.pressure": pressed,
		}, memoryUse{1_000_000, 500_000, true}},
		"inside of it": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("0::/of/the/host\n"),
			"sys/fs/cgroup/memory.max": file("1000000\n"), "sys/fs/cgroup/memory.current": file("600000\n"),
		}, memoryUse{1_000_000, 600_000, false}},
		"no limit": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("0::/\n"),
			"sys/fs/cgroup/memory.max": file("max\n"), "sys/fs/cgroup/memory.current": file("600000\n"),
		}, memoryUse{4_096_000, 1_024_000, false}},
		"the machine is fuller": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("0::/\n"),
			"sys/fs/cgroup/memory.max": file("9000000\n"), "sys/fs/cgroup/memory.current": file("600000\n"),
		}, memoryUse{4_096_000, 1_024_000, false}},
		"v1": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("5:cpu:/x\n4:memory:/x\n0::/\n"),
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("1000000\n"), "sys/fs/cgroup/memory/x/memory.usage_in_bytes": file("600000\n"),
			"sys/fs/cgroup/memory/x/memory.stat": file("total_inactive_file 200000\n"),
		}, memoryUse{1_000_000, 400_000, false}},
		"v1 without a limit": {fstest.MapFS{
			"proc/meminfo": machine, "proc/self/cgroup": file("4:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("600000\n"),
		}, memoryUse{4_096_000, 1_024_000, false}},
	} {
		if got := newMemoryMeter(c.files).read(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := newMemoryMeter(fstest.MapFS{}).read(); got.total != assumed || got.used <= 0 {
		t.Errorf("a system that does not say: %+v", got)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	m := newMemoryMeter(fstest.MapFS{"proc/meminfo": machine})
	if !m.soft {
		t.Error("GOMEMLIMIT is not looked at")
	}
	if got := newMemoryMeter(os.DirFS("/")).read(); got.total <= 0 || got.used <= 0 || got.used > got.total {
		t.Errorf("this machine: %+v", got)
	}
}

// TestArrived: work on an idle node has one look taken at once, and none in the way of calls that follow.
func TestArrived(t *testing.T) {
	l := &lending{wake: make(chan struct{}, 1)}
	l.arrived()
	if len(l.wake) != 0 {
		t.Fatal("it was not idle")
	}
	l.idle.Store(true)
	for range 3 {
		l.arrived()
	}
	if len(l.wake) != 1 || l.idle.Load() {
		t.Fatal("no look is due")
	}
	<-l.wake
	l.arrived()
	if len(l.wake) != 0 {
		t.Fatal("each call costs a look")
	}
	if n := testing.AllocsPerRun(100, l.arrived); n != 0 {
		t.Errorf("%v allocations for each call", n)
	}
}

func BenchmarkMemoryMeter(b *testing.B) {
	m := newMemoryMeter(os.DirFS("/"))
	for b.Loop() {
		m.read()
	}
}
