package offload

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/shm"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/value"
)

const (
	// DefaultHold is how many bytes of values a node holds for others by default.
	DefaultHold = 2 << 30
	// DefaultShare is the least payload that is shared by memory by default: below, to open and map a file costs more than
	// to send the value.
	DefaultShare = 1 << 20

	// heldVersion begins the versions of held values at the data port; those of cached ones have no colon.
	heldVersion = "held:"
	// mostOthers is how many data ports a reference names besides its holder's.
	mostOthers = 3
)

// HoldConfig of a Hold. The fields without a documented default are required.
type HoldConfig struct {
	Executor  string // whose values they are
	Namespace string
	Secret    xfer.Secret // that the namespace's data ports share
	// MaxBytes bounds what is held (0: DefaultHold). Values past it go through the store.
	MaxBytes int64
	// Memory shares values with other processes of the host; nil shares none. It is not closed by this package.
	Memory *shm.Store
	// ShareFrom is the least payload that is shared by memory (0: DefaultShare).
	ShareFrom int64
}

// Hold keeps values in this node's memory until their readers have had the time to pull them: it is what the data port
// serves under their references. Several references to the same bytes of one run are one value to it. Safe for concurrent
// use.
type Hold struct {
	cfg         HoldConfig
	incarnation uint64
	count       atomic.Int64 // of values, and of runs that have some in lent memory
	lent        lentValues

	mu     sync.Mutex // guards what follows
	port   string
	values map[xfer.Ref]*held
	same   map[origin]*held
	runs   map[string]map[*held]bool
	bytes  int64
	copies *copies
}

// held is one value. Its fields do not change, but for those that Hold's lock guards and those that share guards.
type held struct {
	ref    xfer.Ref
	run    string
	kind   value.Kind
	data   []byte
	sums   xfer.Sums
	whole  uint64
	origin origin

	until time.Time // guarded by Hold.mu, as are those that follow
	timer *time.Timer
	gone  bool
	given []string // data ports of those that references were made for, the latest first

	share sync.Mutex // guards file
	file  *shm.File
}

// origin tells bytes apart by where they are. While they are held nothing else can be there.
type origin struct {
	run  string
	at   *byte
	size int
	kind value.Kind
}

// NewHold makes an empty one. At has to follow before anything is held.
func NewHold(cfg HoldConfig) (*Hold, error) {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultHold
	}
	if cfg.ShareFrom <= 0 {
		cfg.ShareFrom = DefaultShare
	}
	if cfg.Executor == "" || cfg.Namespace == "" || cfg.Secret == (xfer.Secret{}) {
		return nil, fault.New(fault.InvalidArgument, "a hold needs the executor's name, its namespace and the secret of the data ports")
	}
	h := &Hold{
		cfg: cfg, incarnation: uint64(time.Now().UnixNano()),
		values: map[xfer.Ref]*held{}, same: map[origin]*held{}, runs: map[string]map[*held]bool{}, copies: newCopies(),
	}
	h.lent.hold = h
	return h, nil
}

// At says at which address others reach the data port that serves the hold.
func (h *Hold) At(port string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.port = port
}

// HoldStats of a Hold.
type HoldStats struct {
	Values int   // held now
	Bytes  int64 // held now, of payloads
}

// Holds reports whether there is anything. It takes no lock.
func (h *Hold) Holds() bool { return h.count.Load() > 0 }

// Stats of now.
func (h *Hold) Stats() HoldStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return HoldStats{Values: len(h.values), Bytes: h.bytes}
}

// put holds a payload for a run, until its end or until ttl is over, and gives a reference for the executor whose data port
// is at to. nil: there is no room for it.
func (h *Hold) put(run, to string, ttl time.Duration, kind value.Kind, data []byte) *wire.Direct {
	o := origin{run, unsafe.SliceData(data), len(data), kind}
	until := time.Now().Add(ttl)
	h.mu.Lock()
	if x := h.same[o]; x != nil {
		defer h.mu.Unlock()
		return h.referLocked(x, to, until)
	}
	if h.port == "" || h.bytes+int64(len(data)) > h.cfg.MaxBytes {
		h.mu.Unlock()
		return nil
	}
	h.bytes += int64(len(data)) // its room, before it is summed without the lock
	h.mu.Unlock()

	x := &held{run: run, kind: kind, data: data, sums: xfer.Sum(data), origin: o}
	x.whole = x.sums.Whole(int64(len(data)))
	// 128 random bits: the data port would not give it out without a capability, but the store's copy has none.
	x.ref = heldRef(id.Token(idLen), h.incarnation)

	h.mu.Lock()
	defer h.mu.Unlock()
	if other := h.same[o]; other != nil { // somebody was faster
		h.bytes -= int64(len(data))
		return h.referLocked(other, to, until)
	}
	h.values[x.ref], h.same[o] = x, x
	h.count.Add(1)
	if h.runs[run] == nil {
		h.runs[run] = map[*held]bool{}
	}
	h.runs[run][x] = true
	return h.referLocked(x, to, until)
}

func heldRef(id string, incarnation uint64) xfer.Ref {
	return xfer.Ref{Key: id, Version: heldVersion + strconv.FormatUint(incarnation, 36)}
}

// IsHeld reports whether a reference at the data port is one to a held value.
func IsHeld(ref xfer.Ref) bool { return strings.HasPrefix(ref.Version, heldVersion) }

// referLocked makes a reference that is good until then.
func (h *Hold) referLocked(x *held, to string, until time.Time) *wire.Direct {
	if until.After(x.until) {
		x.until = until
		if x.timer == nil {
			x.timer = time.AfterFunc(time.Until(until), func() { h.expire(x) })
		} else {
			x.timer.Reset(time.Until(until))
		}
	}
	d := &wire.Direct{
		Executor: h.cfg.Executor, Incarnation: h.incarnation, Port: h.port, ID: x.ref.Key,
		Kind: uint8(x.kind), Size: int64(len(x.data)), Sum: x.whole,
		Capability: h.cfg.Secret.Mint(h.cfg.Namespace, x.ref, until), Expires: until.UnixMilli(),
	}
	if h.cfg.Memory != nil && d.Size >= h.cfg.ShareFrom {
		d.Host = h.cfg.Memory.Host()
	}
	for _, port := range x.given {
		if port != to && len(d.Others) < mostOthers {
			d.Others = append(d.Others, port)
		}
	}
	if to != "" {
		x.given = append([]string{to}, d.Others...)
	}
	return d
}

func (h *Hold) expire(x *held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Now().Before(x.until) { // it was made to last longer meanwhile
		return
	}
	h.dropLocked(x)
}

// Release lets go of what is held for a run, here and in lent memory: it has ended.
func (h *Hold) Release(run string) {
	h.lent.release(run)
	h.mu.Lock()
	defer h.mu.Unlock()
	for x := range h.runs[run] {
		h.dropLocked(x)
	}
}

// Clear lets go of everything.
func (h *Hold) Clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.values {
		h.dropLocked(x)
	}
}

// discard lets go of one value, if it is this node's own.
func (h *Hold) discard(ref xfer.Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x := h.values[ref]; x != nil {
		h.dropLocked(x)
	}
}

func (h *Hold) dropLocked(x *held) {
	if x.gone {
		return
	}
	x.gone = true
	x.timer.Stop()
	h.count.Add(-1)
	delete(h.values, x.ref)
	delete(h.same, x.origin)
	delete(h.runs[x.run], x)
	if len(h.runs[x.run]) == 0 {
		delete(h.runs, x.run)
	}
	h.bytes -= int64(len(x.data))
	// Who is writing its file has the lock of that, and may have it for long.
	go x.unshare()
}

func (h *Hold) find(ref xfer.Ref) *held {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.values[ref]
}

// local gives the payload of a reference that is on this node, whether it is its own or was pulled and is in use still.
func (h *Hold) local(ref xfer.Ref, sum uint64) (data []byte, ok bool) {
	if x := h.find(ref); x != nil {
		return x.data, x.whole == sum
	}
	data, has, ok := h.copies.get(ref)
	return data, ok && has == sum
}

// Open implements xfer.Source for references that IsHeld.
func (h *Hold) Open(_ context.Context, ref xfer.Ref) (xfer.Blob, error) {
	if x := h.find(ref); x != nil {
		return blob{x.data, x.sums}, nil
	}
	if data, _, ok := h.copies.get(ref); ok {
		return xfer.Bytes(data), nil
	}
	return nil, fault.New(fault.NotFound, "executor %s does not hold this value, or not any more: ask another holder, or make it anew", h.cfg.Executor)
}

// blob is a held value as the data port serves it.
type blob struct {
	xfer.Bytes
	sums xfer.Sums
}

// Sums implements xfer.Summed.
func (b blob) Sums() xfer.Sums { return b.sums }

// Share implements xfer.Sharer: the value is written to shared memory once, when the first reader on this host asks for it,
// and stays there for as long as it is held.
func (h *Hold) Share(_ context.Context, ref xfer.Ref) ([]byte, error) {
	if h.cfg.Memory == nil {
		return nil, fault.New(fault.Unsupported, "executor %s shares no memory: read the value", h.cfg.Executor)
	}
	x := h.find(ref)
	if x == nil {
		return nil, fault.New(fault.NotFound, "executor %s does not hold this value itself: read it", h.cfg.Executor)
	}
	x.share.Lock()
	defer x.share.Unlock()
	if x.file == nil {
		f, err := h.cfg.Memory.Publish(x.data, value.Lead(x.kind, x.data))
		if err != nil {
			return nil, err
		}
		x.file = f
		if h.find(ref) != x { // it went while it was written, and unshare may have been here before
			x.removeLocked()
			return nil, fault.New(fault.NotFound, "executor %s has just let go of this value", h.cfg.Executor)
		}
	}
	return x.file.Ticket().Bytes(), nil
}

func (x *held) unshare() {
	x.share.Lock()
	defer x.share.Unlock()
	x.removeLocked()
}

func (x *held) removeLocked() {
	if x.file != nil {
		x.file.Remove()
		x.file = nil
	}
}

// ports are the addresses at which a value may be had, its holder's first.
func ports(f *wire.Direct) []string {
	return append([]string{f.Port}, slices.DeleteFunc(slices.Clone(f.Others), func(p string) bool { return p == f.Port })...)
}
