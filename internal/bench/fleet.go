package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
)

const (
	startWait = 30 * time.Second // for a node to say that it is ready
	stopWait  = 5 * time.Second  // for a node to end by itself
)

// Launch says how a process of this program becomes a node: Path is run with Args and then the node's configuration
// as one argument, and must hand that to RunNode.
type Launch struct {
	Path string
	Args []string
	Env  []string // added to this process's environment
}

// nodeConfig is all that a node is told.
type nodeConfig struct {
	Role      string   `json:"role"`
	Name      string   `json:"name"`
	URL       string   `json:"url,omitempty"` // of the NATS server, or the address of the next TCP node
	Dir       string   `json:"dir,omitempty"` // of the NATS server's store; empty keeps it in memory
	Functions []string `json:"functions,omitempty"`
	Wasm      bool     `json:"wasm,omitempty"`
	Cache     int64    `json:"cache,omitempty"`    // bytes of the executor's cache; 0 is the default
	Slots     int      `json:"slots,omitempty"`    // of the executor; 0 is the default
	Hold      int64    `json:"hold,omitempty"`     // bytes that the executor holds for others; 0 is the default
	Unshared  bool     `json:"unshared,omitempty"` // the executor shares no memory with other processes
	Shards    int      `json:"shards,omitempty"`   // of the store, which a coordinator makes; 0 is the default
	Lend      int64    `json:"lend,omitempty"`     // bytes of a lender
	Delay     int      `json:"delay,omitempty"`    // milliseconds that a lender takes longer to answer
	Profile   string   `json:"profile,omitempty"`  // file of the CPU profile; none where empty
}

// event is one line that a node says.
type event struct {
	Ready string `json:"ready,omitempty"` // once, at first: its address, or its name
	Began string `json:"began,omitempty"` // the run whose step has just begun here
	Err   string `json:"err,omitempty"`   // why it ends
}

// fleet is the processes of one suite. Close ends them all, the end of ctx kills them, and they end by themselves when
// this process does.
type fleet struct {
	ctx     context.Context // ends with the suite
	launch  Launch
	profile string // directory; none where empty
	events  chan nodeEvent

	mu    sync.Mutex // guards what follows
	nodes []*node
}

type nodeEvent struct {
	node *node
	event
}

// node is one process.
type node struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	ready chan event
	ended chan struct{} // closed once the process has ended and been waited for
	tail  tail
}

func newFleet(ctx context.Context, launch Launch, profile string) *fleet {
	return &fleet{ctx: ctx, launch: launch, profile: profile, events: make(chan nodeEvent, 64)}
}

// start starts a node and waits until it says that it is ready; it gives what the node says of itself, its address.
func (f *fleet) start(cfg nodeConfig) (*node, string, error) {
	if cfg.Name == "" {
		cfg.Name = cfg.Role
	}
	if f.profile != "" {
		cfg.Profile = filepath.Join(f.profile, cfg.Name+".pprof")
	}
	b, err := json.Marshal(cfg)
	if err != nil {
		return nil, "", fault.New(fault.Internal, "configuration of node %s: %w", cfg.Name, err)
	}
	n := &node{name: cfg.Name, ready: make(chan event, 1), ended: make(chan struct{})}
	n.cmd = exec.CommandContext(f.ctx, f.launch.Path, append(append([]string(nil), f.launch.Args...), string(b))...)
	n.cmd.Env = append(os.Environ(), f.launch.Env...)
	n.cmd.Stderr = &n.tail
	tether(n.cmd)
	if n.stdin, err = n.cmd.StdinPipe(); err != nil {
		return nil, "", n.failed(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, "", n.failed(err)
	}
	if err := n.cmd.Start(); err != nil {
		return nil, "", n.failed(err)
	}
	f.mu.Lock()
	f.nodes = append(f.nodes, n)
	f.mu.Unlock()
	go f.listen(n, out)
	select {
	case e := <-n.ready:
		if e.Err != "" {
			return nil, "", n.failed(errors.New(e.Err))
		}
		return n, e.Ready, nil
	case <-n.ended:
		return nil, "", n.failed(errors.New("it ended at once"))
	case <-time.After(startWait):
		return nil, "", n.failed(errors.New("it was not ready in time"))
	case <-f.ctx.Done():
		return nil, "", fault.From(context.Cause(f.ctx))
	}
}

// listen passes on what a node says until it ends.
func (f *fleet) listen(n *node, out io.Reader) {
	defer close(n.ended)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // something that a library prints
		}
		if e.Ready != "" || e.Err != "" {
			select {
			case n.ready <- e:
			default:
			}
			continue
		}
		select {
		case f.events <- nodeEvent{n, e}:
		default: // nobody is interested
		}
	}
	_ = n.cmd.Wait() // how it ended shows in what it said
}

func (n *node) failed(err error) error {
	if said := strings.TrimSpace(n.tail.String()); said != "" {
		return fault.New(fault.Unavailable, "node %s of the benchmark does not run: %w: %s", n.name, err, said)
	}
	return fault.New(fault.Unavailable, "node %s of the benchmark does not run: %w", n.name, err)
}

func (n *node) pid() int { return n.cmd.Process.Pid }

// kill ends a node as a crash would, and returns when it is gone.
func (n *node) kill() {
	_ = n.cmd.Process.Kill() // only fails for a process that has ended
	<-n.ended
}

// stop asks a node to end, and insists after a while.
func (n *node) stop() {
	_ = n.stdin.Close() // only fails for a process that has ended
	select {
	case <-n.ended:
	case <-time.After(stopWait):
		n.kill()
	}
}

// Close ends every node, the last started first, and returns when all are gone. Idempotent.
func (f *fleet) Close() {
	f.mu.Lock()
	nodes := f.nodes
	f.nodes = nil
	f.mu.Unlock()
	for i := len(nodes) - 1; i >= 0; i-- {
		nodes[i].stop()
	}
}

// tail keeps the end of what a node writes to its standard error. Safe for concurrent use.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
