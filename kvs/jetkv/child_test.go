package jetkv_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/internal/natsconn"
)

// serveEnv makes this test's binary a server: "<durability> <directory>".
const serveEnv = "SQUALL_TEST_SERVE"

// long reports whether tests that take minutes were asked for.
func long() bool { return os.Getenv("SQUALL_LONG") != "" }

// serveChild runs a server until its standard input ends, or it is killed.
func serveChild() {
	durability, dir, _ := strings.Cut(os.Getenv(serveEnv), " ")
	o := natsconn.ServerOptions{StoreDir: dir, Listen: "127.0.0.1:0"}
	switch durability {
	case "interval":
		o.Durability = natsconn.Interval
	case "memory":
		o.Durability = natsconn.Memory
	}
	srv, err := natsconn.Embed(o)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("url", srv.URL())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test is gone
	srv.Shutdown()
}

// child is a server in a process of its own, which can be killed and whose memory can be looked at.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	url   string
}

func startChild(t testing.TB, durability, dir string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe)} //nolint:gosec // this binary
	c.cmd.Env = append(os.Environ(), serveEnv+"="+durability+" "+dir)
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "url ")
	if err != nil || !ok {
		t.Fatalf("the server says %q, %v", line, err)
	}
	c.url = url
	return c
}

// kill ends the process without a warning. Idempotent.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill() // it may have ended
		_ = c.cmd.Wait()         // killed
	}
}

func (c *child) dial(t testing.TB) *nats.Conn {
	t.Helper()
	conn, err := natsconn.Dial(within(t), natsconn.Options{URL: c.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// memory gives what a process has in memory now and had at most, in bytes; 0 is this process.
func memory(t testing.TB, pid int) (now, peak int64) {
	t.Helper()
	name := "self"
	if pid != 0 {
		name = fmt.Sprint(pid)
	}
	status, err := os.ReadFile("/proc/" + name + "/status")
	if err != nil {
		t.Skip("this system does not tell how much memory a process has")
	}
	for line := range strings.Lines(string(status)) {
		var n int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &n); err == nil {
			now = n << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &n); err == nil {
			peak = n << 10
		}
	}
	return now, peak
}
