package cluster

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// memoryUse is how much memory this process may use, and how much of that is used, in bytes. What the system would give up
// at once, clean pages of files, is not used.
type memoryUse struct {
	total, used int64
	pressed     bool // processes wait for memory
}

func (u memoryUse) free() int64 { return u.total - u.used }

const (
	// pressing is the share of the last ten seconds, in percent, in which some process has waited for memory, from which on it
	// counts as short (Linux PSI). Facebook's senpai aims at a tenth of a percent of waiting and oomd acts at 10.
	pressing = 10.0
	// assumed is what a system is taken to have that does not say.
	assumed = 2 << 30
)

// memoryMeter reads what is limited and used. Of several bounds, the machine's, the container's, and GOMEMLIMIT where the
// environment sets it, the one that leaves least counts. Not safe for concurrent use.
type memoryMeter struct {
	root  fs.FS  // of the file system
	group string // directory of the memory's control group in it; "" where there is none
	v1    bool   // it is one of cgroup v1
	soft  bool   // the environment sets GOMEMLIMIT
}

func newMemoryMeter(root fs.FS) *memoryMeter {
	m := &memoryMeter{root: root, soft: os.Getenv("GOMEMLIMIT") != ""}
	m.group, m.v1 = groupOf(root)
	return m
}

// groupOf finds the control group that bounds this process's memory. Inside of a container its name is the host's, and the
// group is at the root of what is mounted.
func groupOf(root fs.FS) (dir string, v1 bool) {
	const mount = "sys/fs/cgroup"
	b, _ := fs.ReadFile(root, "proc/self/cgroup") // where there is none, no group is found
	for line := range strings.Lines(string(b)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		kinds, name, _ := strings.Cut(rest, ":")
		for _, dir := range []string{path.Join(mount, name), mount} {
			if id == "0" && exists(root, dir+"/memory.max") {
				return dir, false
			}
		}
		for _, dir := range []string{path.Join(mount, "memory", name), path.Join(mount, "memory")} {
			if kinds == "memory" && exists(root, dir+"/memory.limit_in_bytes") {
				return dir, true
			}
		}
	}
	return "", false
}

func exists(root fs.FS, name string) bool {
	_, err := fs.Stat(root, name)
	return err == nil
}

// read tells how it is now.
func (m *memoryMeter) read() memoryUse {
	least := m.machine()
	if m.group != "" {
		if u, ok := m.container(); ok && u.free() < least.free() {
			least = u
		}
	}
	if m.soft {
		if u := process(); u.free() < least.free() {
			least = u
		}
	}
	least.pressed = m.pressed()
	return least
}

func (m *memoryMeter) machine() memoryUse {
	f := m.fields("proc/meminfo", 1<<10)
	if total := f["MemTotal:"]; total > 0 {
		return memoryUse{total: total, used: total - min(f["MemAvailable:"], total)}
	}
	return memoryUse{total: assumed, used: process().used}
}

// container is the group's bound; false where it has none.
func (m *memoryMeter) container() (memoryUse, bool) {
	limit, current, clean := "memory.max", "memory.current", "inactive_file"
	if m.v1 {
		limit, current, clean = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	total, used := m.number(limit), m.number(current)
	if total <= 0 || total >= 1<<62 { // "max", or what v1 says for it
		return memoryUse{}, false
	}
	return memoryUse{total: total, used: max(used-m.fields(path.Join(m.group, "memory.stat"), 1)[clean], 0)}, true
}

// process is what Go's runtime knows.
func process() memoryUse {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return memoryUse{total: debug.SetMemoryLimit(-1), used: int64(s[0].Value.Uint64() - s[1].Value.Uint64())}
}

func (m *memoryMeter) pressed() bool {
	b, err := fs.ReadFile(m.root, path.Join(m.group, "memory.pressure"))
	if m.group == "" || m.v1 || err != nil {
		if b, err = fs.ReadFile(m.root, "proc/pressure/memory"); err != nil {
			return false // this system does not tell
		}
	}
	_, rest, _ := strings.Cut(string(b), "some avg10=")
	share, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseFloat(share, 64)
	return err == nil && n >= pressing
}

// number is what a file of the group says; 0 where it says none.
func (m *memoryMeter) number(name string) int64 {
	b, err := fs.ReadFile(m.root, path.Join(m.group, name))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // "max" is 0
	return n
}

// fields are the lines of a file of names and numbers, in so many bytes.
func (m *memoryMeter) fields(name string, unit int64) map[string]int64 {
	b, _ := fs.ReadFile(m.root, name) // what is not there has no fields
	out := map[string]int64{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) >= 2 {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				out[f[0]] = n * unit
			}
		}
	}
	return out
}
