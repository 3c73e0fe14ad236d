//go:build amd64 || arm64

package shm

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SQUALL_SHM_OWNER"); dir != "" {
		own(dir)
	}
	goleak.VerifyTestMain(m)
}

// own is another process: it publishes a value, says its ticket, and never ends by itself.
func own(dir string) {
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30})
	if err != nil {
		panic(err)
	}
	f, err := s.Publish(random(3<<20+5), 3)
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(hex.EncodeToString(f.Ticket().Bytes()) + "\n")
	time.Sleep(time.Hour) // until it is killed
}

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// memory is a directory in memory where there is one.
func memory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "squall-test-") //nolint:usetesting // in memory
	if err != nil {
		return filepath.Join(t.TempDir(), "shm")
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func ticket(t *testing.T, f *File) Ticket {
	t.Helper()
	got, err := ParseTicket(f.Ticket().Bytes())
	if err != nil || got != f.Ticket() {
		t.Fatalf("the ticket %+v comes as %+v, %v", f.Ticket(), got, err)
	}
	return got
}

// TestShared: what one publishes the other maps, for all sizes and leads, and it stays good when the file has gone.
func TestShared(t *testing.T) {
	dir := memory(t)
	a, b := open(t, dir), open(t, dir)
	if a.Host() != b.Host() || a.Host() == "" {
		t.Errorf("hosts %q and %q", a.Host(), b.Host())
	}
	for _, size := range []int{1, pageSize - 1, pageSize, pageSize + 1, 1 << 20, 2*writeAlone + 7} {
		for _, lead := range []int{0, 1, 7, mostLead} {
			want := random(size)
			f, err := a.Publish(want, lead)
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Map(ticket(t, f))
			if err != nil {
				t.Fatalf("%d bytes at %d: %v", size, lead, err)
			}
			f.Remove()
			f.Remove()
			if !bytes.Equal(got, want) || cap(got) != len(got) {
				t.Fatalf("%d bytes at %d come as %d others", size, lead, len(got))
			}
			if _, err := b.Map(f.Ticket()); !fault.Is(err, fault.NotFound) {
				t.Fatalf("what was removed: %v", err)
			}
		}
	}
	if s := a.Stats(); s.Files != 0 || s.Bytes != 0 {
		t.Errorf("%+v", s)
	}
}

// TestMapsAreCollected: a map lives for as long as any slice of it, and no longer; what the collector puts in its place
// does not show through, neither way.
func TestMapsAreCollected(t *testing.T) {
	dir := memory(t)
	a, b := open(t, dir), open(t, dir)
	want := random(1 << 20)
	f, err := a.Publish(want, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := maps.Load()
	var tails [][]byte
	for range 20 {
		m, err := b.Map(f.Ticket())
		if err != nil {
			t.Fatal(err)
		}
		tails = append(tails, m[len(m)-10:])
	}
	f.Remove()
	var others [][]byte
	for range 10 {
		runtime.GC()
		x := make([]byte, 1<<20)
		for i := range x {
			if x[i] != 0 {
				t.Fatal("fresh memory is not zero")
			}
		}
		others = append(others, x)
	}
	for _, tail := range tails {
		if !bytes.Equal(tail, want[len(want)-10:]) {
			t.Fatal("a part of a map was collected with the rest")
		}
	}
	runtime.KeepAlive(others)
	runtime.KeepAlive(tails)
	for end := time.Now().Add(20 * time.Second); maps.Load() > before; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("%d maps are never given back", maps.Load()-before)
		}
	}
	for range 30 { // of the memory that was mapped over
		x := make([]byte, 1<<20)
		for i := range x {
			if x[i] != 0 {
				t.Fatal("fresh memory is not zero")
			}
			x[i] = 1
		}
	}
}

// TestWriteStaysPrivate: who writes to a map, which he must not, changes nobody else's.
func TestWriteStaysPrivate(t *testing.T) {
	dir := memory(t)
	a, b := open(t, dir), open(t, dir)
	f, err := a.Publish(random(10_000), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Remove()
	one, err1 := b.Map(f.Ticket())
	two, err2 := b.Map(f.Ticket())
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	one[5000] ^= 1
	if !bytes.Equal(two, random(10_000)) {
		t.Error("it shows elsewhere")
	}
}

// TestOtherProcess: a value of another process; when that is killed the map stays good, and the next one to open sweeps.
func TestOtherProcess(t *testing.T) {
	dir := memory(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SQUALL_SHM_OWNER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 2*ticketLen)
	if _, err := out.Read(line); err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(string(line))
	if err != nil {
		t.Fatal(err)
	}
	tk, err := ParseTicket(raw)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if s.Stats().Swept != 0 {
		t.Error("a living owner was swept")
	}
	got, err := s.Map(tk)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	late := open(t, dir)
	if late.Stats().Swept != 1 {
		t.Errorf("%d owners swept, want 1", late.Stats().Swept)
	}
	if _, err := late.Map(tk); !fault.Is(err, fault.NotFound) {
		t.Errorf("what was swept: %v", err)
	}
	if !bytes.Equal(got, random(3<<20+5)) {
		t.Error("the map has changed")
	}
}

// TestSweepsWhatIsUnfinished: a process that died before it had its lock leaves something, and a young one is left alone.
func TestSweepsWhatIsUnfinished(t *testing.T) {
	dir := memory(t)
	old, young, bare := filepath.Join(dir, unfinished+"1"), filepath.Join(dir, unfinished+"2"), filepath.Join(dir, "3")
	for _, d := range []string{old, young, bare} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * finishWithin)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if s := open(t, dir); s.Stats().Swept != 2 {
		t.Errorf("%d swept, want 2", s.Stats().Swept)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}

// TestImposters: no ticket gives another value than its own.
func TestImposters(t *testing.T) {
	dir := memory(t)
	a, b := open(t, dir), open(t, dir)
	f, err := a.Publish(random(2*pageSize), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Remove()
	for name, edit := range map[string]func(*Ticket){
		"another nonce": func(t *Ticket) { t.nonce[3] ^= 1 },
		"longer":        func(t *Ticket) { t.size++ },
		"another lead":  func(t *Ticket) { t.lead++ },
	} {
		tk := f.Ticket()
		edit(&tk)
		if _, err := b.Map(tk); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tk := f.Ticket()
	tk.name[0] ^= 1
	if _, err := b.Map(tk); !fault.Is(err, fault.NotFound) {
		t.Errorf("another name: %v", err)
	}
	if err := os.Truncate(f.path, 2*pageSize); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Map(f.Ticket()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a file that was cut: %v", err)
	}
	for _, bad := range [][]byte{nil, f.Ticket().Bytes()[1:], append(f.Ticket().Bytes(), 0), bytes.Repeat([]byte{1}, ticketLen), append([]byte{2}, f.Ticket().Bytes()[1:]...)} {
		if _, err := ParseTicket(bad); !fault.Is(err, fault.Unsupported) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// TestNoRoom: past its bound a process shares nothing more, until it has taken something back.
func TestNoRoom(t *testing.T) {
	dir := memory(t)
	s, err := Open(Config{Dir: dir, MaxBytes: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	f, err := s.Publish(random(80_000), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(random(20_000), 0); !fault.Is(err, fault.OutOfMemory) {
		t.Errorf("past the bound: %v", err)
	}
	f.Remove()
	if f, err := s.Publish(random(20_000), 0); err != nil {
		t.Errorf("with room again: %v", err)
	} else {
		f.Remove()
	}
	if _, err := s.Publish(nil, 0); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("nothing: %v", err)
	}
}

// TestBadDirectory: a directory that others may write to is refused.
func TestBadDirectory(t *testing.T) {
	dir := memory(t)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
}

func FuzzParseTicket(f *testing.F) {
	f.Add(Ticket{size: 1}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		tk, err := ParseTicket(b)
		if err == nil && !bytes.Equal(tk.Bytes(), b) {
			t.Fatalf("%x is read as %x", b, tk.Bytes())
		}
	})
}

// BenchmarkShared is a value through shared memory, written, mapped and read once, beside a copy of it.
func BenchmarkShared(b *testing.B) {
	dir := memory(b)
	owner, reader := open(b, dir), open(b, dir)
	for _, size := range []int{256 << 10, 1 << 20, 16 << 20, 256 << 20} {
		value := random(size)
		run := func(name string, op func()) {
			b.Run(name+"/"+sizeName(size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					op()
				}
			})
		}
		run("publish", func() {
			f, err := owner.Publish(value, 0)
			if err != nil {
				b.Fatal(err)
			}
			f.Remove()
		})
		f, err := owner.Publish(value, 0)
		if err != nil {
			b.Fatal(err)
		}
		run("map", func() {
			m, err := reader.Map(f.Ticket())
			if err != nil {
				b.Fatal(err)
			}
			touch(m)
		})
		run("copy", func() { touch(bytes.Clone(value)) })
		f.Remove()
	}
}

var sink byte

func touch(b []byte) {
	for i := 0; i < len(b); i += pageSize {
		sink ^= b[i]
	}
}

func sizeName(n int) string { return strconv.Itoa(n>>10) + "KiB" }
