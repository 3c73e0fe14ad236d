package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// asNode in the environment makes this test binary a node.
const asNode = "SQUALL_BENCH_TEST_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(asNode) != "" {
		if err := RunNode(context.Background(), os.Args[len(os.Args)-1], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func launch(t *testing.T) Launch {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Launch{Path: path, Env: []string{asNode + "=1"}}
}

// empty fails the test where something is left in a directory.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("the suite left %v behind, %v", left, err)
	}
}

// TestComposeQuick runs every case but those of WebAssembly, whose first build takes as long as all other tests
// together; `squall bench compose --quick` runs them too. Answers are verified by the suite itself.
func TestComposeQuick(t *testing.T) {
	dir := t.TempDir()
	r, err := Compose{
		Calls: 40,
		Options: Options{
			Launch: launch(t), Release: "test", Quick: true, Dir: dir,
			Only: []string{caseFloor, caseFloorRequest, caseTCP, "compose_*", caseNative, caseDurable, caseFsync, caseCache, caseKill},
		},
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	empty(t, dir)

	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Suite  string
		Env    map[string]any
		Rows   []map[string]any
		Ratios map[string]float64
	}
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("the report is not the object it should be: %v", err)
	}
	if out.Suite != "compose" || out.Env["squall"] != "test" || out.Env["durability"] != "durable" {
		t.Errorf("suite %q, environment %v", out.Suite, out.Env)
	}
	for _, name := range []string{
		"compose_same_over_floor", "compose_cross_over_floor", "throughput32_over_floor", "native_hop_us", "cache_hit_ns",
		"durable_p50_us", "durable32_ops", "kill_to_answer_ms",
	} {
		if _, ok := out.Ratios[name]; !ok {
			t.Errorf("no ratio %s", name)
		}
	}
	seen := map[string]map[string]any{}
	for _, row := range out.Rows {
		seen[fmt.Sprint(row["case"], " ", row["metric"])] = row
	}
	for _, name := range []string{
		"floor/1", "floor/8", "floor/32", "floor_request/32", "tcp/1", "tcp/32", "compose_same/1", "compose_same/32",
		"compose_cross/1", "compose_cross/32", "native_chain/1", "native_chain/16", "durable/1", "durable/32", "fsync",
	} {
		row := seen[name+" latency"]
		if row == nil {
			t.Errorf("no row of %s", name)
			continue
		}
		want := 40.0
		if group, _, _ := strings.Cut(name, "/"); row["outstanding"].(float64) > 1 && group != caseDurable {
			want *= manyCalls
		}
		if row["n"] != want || row["unit"] != "us" || row["p50"].(float64) <= 0 || row["ops"].(float64) <= 0 {
			t.Errorf("row %v, want %v calls", row, want)
		}
	}
	for _, name := range []string{"cache_hit read", "cache_hit bare_map_read", "cache_hit allocations", "cache_hit hits", "kill recovery"} {
		if seen[name] == nil {
			t.Errorf("no row of %s", name)
		}
	}
}

// TestInterrupt cancels a suite in the middle: it ends, with every process and directory that it made.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	lines := watcher{word: "calls", seen: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		_, err := Compose{Calls: 1 << 22, Options: Options{Launch: launch(t), Only: []string{"compose_same/8"}, Dir: dir, Progress: &lines}}.Run(ctx)
		done <- err
	}()
	select {
	case <-lines.seen:
	case err := <-done:
		t.Fatalf("ended before it was interrupted: %v", err)
	}
	cancel()
	select {
	case err := <-done:
		if !fault.Is(err, fault.Cancelled) {
			t.Errorf("gave %v, want cancelled", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("goes on after it was interrupted")
	}
	empty(t, dir)
}

// TestLimit ends a suite that takes too long, and says so.
func TestLimit(t *testing.T) {
	dir := t.TempDir()
	_, err := Compose{Calls: 1 << 22, Options: Options{Launch: launch(t), Only: []string{"tcp/1"}, Dir: dir, Limit: 2 * time.Second}}.Run(t.Context())
	if !fault.Is(err, fault.DeadlineExceeded) || !strings.Contains(err.Error(), "not done after 2s") {
		t.Errorf("gave %v, want deadline_exceeded", err)
	}
	empty(t, dir)
}

// watcher is a writer that notices a line.
type watcher struct {
	word string
	seen chan struct{}
	once bool
}

func (w *watcher) Write(p []byte) (int, error) {
	if !w.once && strings.TrimSpace(string(p)) == w.word {
		w.once = true
		close(w.seen)
	}
	return len(p), nil
}

func TestComposeRefuses(t *testing.T) {
	for _, tc := range []struct {
		s    Compose
		code fault.Code
		says string
	}{
		{Compose{Calls: -1}, fault.InvalidArgument, "positive"},
		{Compose{Options: Options{Only: []string{"nothing"}}}, fault.InvalidArgument, "the cases are"},
		{Compose{Options: Options{Only: []string{"["}}}, fault.InvalidArgument, "the cases are"},
		{Compose{Options: Options{Dir: "/nowhere/at/all"}}, fault.InvalidArgument, "directory"},
		{Compose{Options: Options{Launch: Launch{Path: "/nowhere/at/all"}}}, fault.Unavailable, "node nats"},
		{Compose{Options: Options{Launch: Launch{Path: "/bin/false"}}}, fault.Unavailable, "ended at once"},
	} {
		if tc.s.Dir == "" {
			tc.s.Dir = t.TempDir()
			defer empty(t, tc.s.Dir)
		}
		if _, err := tc.s.Run(t.Context()); !fault.Is(err, tc.code) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%+v: gave %v, want %s with %q", tc.s, err, tc.code, tc.says)
		}
	}
}

// TestNodeSaysWhy: what keeps a node from starting reaches whoever runs the suite.
func TestNodeSaysWhy(t *testing.T) {
	f := newFleet(t.Context(), launch(t), "")
	defer f.Close()
	for _, tc := range []struct {
		cfg  nodeConfig
		says string
	}{
		{nodeConfig{Role: "nonsense"}, "no node has the role"},
		{nodeConfig{Role: roleExecutor, URL: "nats://127.0.0.1:1"}, "127.0.0.1:1"},
		{nodeConfig{Role: roleTCPFirst, URL: "127.0.0.1:1"}, "refused"},
	} {
		if _, _, err := f.start(tc.cfg); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v: gave %v, want %q", tc.cfg, err, tc.says)
		}
	}
}

// TestFloorPayload: the floor passes on the very bytes that Squall does.
func TestFloorPayload(t *testing.T) {
	for _, x := range []uint32{1 << 16, 1<<16 + 1, 1 << 24, math.MaxUint32 - 1} {
		arg, err := value.MustOf(int(x)).Wire()
		if err != nil {
			t.Fatal(err)
		}
		if got := appendArg(nil, x); !bytes.Equal(got, arg) {
			t.Errorf("argument %d is %x, Squall's is %x", x, got, arg)
		}
		if got, err := readArg(arg); err != nil || got != x {
			t.Errorf("argument %x read as %d, %v", arg, got, err)
		}
		y := uint64(x) * uint64(x)
		result, err := value.MustOf(y).Wire()
		if err != nil {
			t.Fatal(err)
		}
		if len(result) != resultBytes {
			t.Errorf("result of %d has %d bytes", x, len(result))
		}
		if got := appendResult(nil, y); !bytes.Equal(got, result) {
			t.Errorf("result %d is %x, Squall's is %x", y, got, result)
		}
		if got, err := readResult(result); err != nil || got != y {
			t.Errorf("result %x read as %d, %v", result, got, err)
		}
	}
	inbox, payload, err := cutInbox(append(appendInbox(nil, "_INBOX.a"), 1, 2))
	if err != nil || string(inbox[1:]) != "_INBOX.a" || !bytes.Equal(payload, []byte{1, 2}) {
		t.Errorf("cut into %q and %x, %v", inbox, payload, err)
	}
	for _, b := range [][]byte{nil, {9}, {200, 1}} {
		if _, _, err := cutInbox(b); err == nil {
			t.Errorf("%x has an inbox", b)
		}
	}
}

func TestSlope(t *testing.T) {
	lengths := []int{1, 2, 4, 8, 16}
	chain := make([]*load, len(lengths))
	for i, n := range lengths {
		// Two of three rounds lie on the line; one was disturbed in the middle.
		at := func(base float64) float64 { return base + 3000*float64(n) }
		chain[i] = &load{medians: []float64{at(500_000), at(400_000), at(500_000)}}
	}
	chain[2].medians[1] = 1e9
	if got := slope(lengths, chain); math.Abs(got-3) > 1e-9 {
		t.Errorf("the slope is %v µs, want 3", got)
	}
	if got := slope(nil, []*load{{}}); got != 0 {
		t.Errorf("the slope of nothing is %v", got)
	}
}

func TestZipf(t *testing.T) {
	const n, draws = 1000, 100_000
	z := newZipf(n)
	a, b := z.draw(7, draws), z.draw(7, draws)
	count := make([]int, n)
	for i, k := range a {
		if k != b[i] {
			t.Fatal("the same seed gives other draws")
		}
		count[k]++
	}
	// The first rank's share is 1 over the harmonic number, about 13 %.
	if top := float64(count[z.order[0]]) / draws; top < 0.12 || top > 0.14 {
		t.Errorf("the most popular key has a share of %v", top)
	}
	if got := len(draw{Keys: 10}.numbers()); got != 10 {
		t.Errorf("a pass over 10 keys has %d", got)
	}
}

func TestCachedValues(t *testing.T) {
	a, b := cachedValue(1), cachedValue(2)
	if len(a) != cachedBytes || bytes.Equal(a, b) || sumWords(a) == sumWords(b) {
		t.Error("values of different keys are alike")
	}
	a[cachedBytes-1]++
	if sumWords(a) == sumWords(cachedValue(1)) {
		t.Error("the sum misses the last byte")
	}
}

func TestWants(t *testing.T) {
	for _, tc := range []struct {
		only string
		name string
		want bool
	}{
		{"", "floor/1", true},
		{"floor", "floor/1", true},
		{"floor/1", "floor/1", true},
		{"floor/1", "floor/8", false},
		{"floor", "floor_request/1", false},
		{"*_chain", "wasm_chain/16", true},
		{"*_chain/1", "wasm_chain/16", false},
		{"compose_*", "compose_cross/8", true},
		{"kill", "kill", true},
	} {
		var s Options
		if tc.only != "" {
			s.Only = []string{tc.only}
		}
		if got := s.wants(tc.name); got != tc.want {
			t.Errorf("--only %q wants %s: %v", tc.only, tc.name, got)
		}
		group, _, _ := strings.Cut(tc.name, "/")
		if tc.want && !s.wanted(group) {
			t.Errorf("--only %q does not want any %s", tc.only, group)
		}
	}
}

func TestTable(t *testing.T) {
	r := &Report{
		Suite: "s", Env: map[string]any{"cpus": 2, "durability": "durable"},
		Rows: []Row{
			{Case: "a/1", Metric: "latency", Unit: "us", P50: 123.456, P99: 4567.8, Ops: 8101.4, CPUPerOp: 0.123456, N: 5000},
			{Case: "b", Metric: "read", Unit: "ns", P50: 99, N: 7},
		},
		Ratios:  map[string]float64{"good": 1.2, "bad": 0.5, "free": 3},
		Targets: []Target{{Ratio: "good", Limit: 1.25}, {Ratio: "bad", Limit: 0.7, AtLeast: true}, {Ratio: "absent", Limit: 3}},
	}
	var b bytes.Buffer
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "table.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the table is\n%s\nwant\n%s", b.String(), want)
	}
}
