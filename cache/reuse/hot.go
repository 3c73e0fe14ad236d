package reuse

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
)

// Defaults of HotConfig.
const (
	DefaultHotKeys  = 128
	DefaultHotEvery = 16
)

// HotConfig of a Hot; the zero config is useful.
type HotConfig struct {
	Keys  int // tracked at most, 0 means DefaultHotKeys
	Every int // one touch in so many, drawn at random, is looked at; 0 means DefaultHotEvery, 1 each
	// ByBytes weighs a touch by its bytes, for finding what takes bandwidth; else each touch weighs the same, for finding
	// what is asked for often.
	ByBytes bool
}

// Hot finds the heaviest keys of a stream in fixed space: SpaceSaving (Metwally et al., ICDT '05). A key whose share of
// the weight is above 1/Keys is tracked for certain, up to the draw. All methods are safe for concurrent use; a touch
// that is not looked at costs a random number.
type Hot struct {
	cfg HotConfig

	mu   sync.Mutex // guards what follows
	at   map[string]int
	heap []hot // the lightest on top
}

// hot is one tracked key.
type hot struct {
	name    string
	weight  float64 // at most so much above the truth as surplus
	surplus float64 // weight that it has from the key whose place it took
	touches float64
	bytes   int64
	epoch   uint32 // of the last touch looked at, counted down by Advance
}

// Object is a tracked key.
type Object struct {
	Name    string
	Weight  float64 // what it has certainly weighed, in touches or bytes, older ones counted less
	Touches float64 // at least so many
	Bytes   int64   // when it was touched last
	Idle    int     // epochs since the last touch
}

// NewHot makes a Hot that has seen nothing.
func NewHot(cfg HotConfig) *Hot {
	if cfg.Keys <= 0 {
		cfg.Keys = DefaultHotKeys
	}
	if cfg.Every <= 0 {
		cfg.Every = DefaultHotEvery
	}
	return &Hot{cfg: cfg, at: make(map[string]int, cfg.Keys), heap: make([]hot, 0, cfg.Keys)}
}

// Touch tells of an access to a key of so many bytes.
func (h *Hot) Touch(name string, bytes int64) {
	if h.cfg.Every == 1 || rand.Uint32N(uint32(h.cfg.Every)) == 0 {
		h.look(name, bytes)
	}
}

func (h *Hot) look(name string, bytes int64) {
	touches := float64(h.cfg.Every)
	weight := touches
	if h.cfg.ByBytes {
		weight *= float64(max(bytes, 1))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, ok := h.at[name]; ok {
		x := &h.heap[i]
		x.weight += weight
		x.touches += touches
		x.bytes, x.epoch = bytes, 0
		h.down(i)
		return
	}
	if len(h.heap) < h.cfg.Keys {
		h.heap = append(h.heap, hot{name: name, weight: weight, touches: touches, bytes: bytes})
		h.up(len(h.heap) - 1)
		return
	}
	least := &h.heap[0]
	delete(h.at, least.name)
	*least = hot{name: name, weight: least.weight + weight, surplus: least.weight, touches: touches, bytes: bytes}
	h.at[name] = 0
	h.down(0)
}

// Advance ends an epoch: what was counted so far counts half from now on.
func (h *Hot) Advance() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.heap { // halving keeps the order
		x := &h.heap[i]
		x.weight /= 2
		x.surplus /= 2
		x.touches /= 2
		x.epoch++
	}
}

// Top gives the heaviest n keys, or all that are tracked if there are fewer, by what they have certainly weighed.
func (h *Hot) Top(n int) []Object {
	h.mu.Lock()
	out := make([]Object, len(h.heap))
	for i, x := range h.heap {
		out[i] = Object{Name: x.name, Weight: x.weight - x.surplus, Touches: x.touches, Bytes: x.bytes, Idle: int(x.epoch)}
	}
	h.mu.Unlock()
	slices.SortFunc(out, func(a, b Object) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(max(n, 0), len(out))]
}

func (h *Hot) up(i int) {
	x := h.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if h.heap[parent].weight <= x.weight {
			break
		}
		h.put(i, h.heap[parent])
		i = parent
	}
	h.put(i, x)
}

func (h *Hot) down(i int) {
	x := h.heap[i]
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			break
		}
		if child+1 < len(h.heap) && h.heap[child+1].weight < h.heap[child].weight {
			child++
		}
		if h.heap[child].weight >= x.weight {
			break
		}
		h.put(i, h.heap[child])
		i = child
	}
	h.put(i, x)
}

func (h *Hot) put(i int, x hot) {
	h.heap[i] = x
	h.at[x.name] = i
}
