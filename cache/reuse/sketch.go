package reuse

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Defaults and bounds of Config.
const (
	DefaultKeys  = 4096
	MinKeys      = 64
	DefaultBurst = 1 << 17
	// keepEpochs after its last touch a key is forgotten: what it did then counts for less than a hundredth.
	keepEpochs = 8
)

// Config of a Sketch; the zero Config is useful.
type Config struct {
	// Keys that are tracked at most, some 100 bytes each; 0 means DefaultKeys. The error falls with its square root.
	Keys int
	// MaxBytes is the largest cache that is of interest; reuse over a longer distance counts as a miss, and keys from
	// further down are not tracked, so that a smaller MaxBytes allows a denser sample. 0: no bound.
	MaxBytes int64
	// Burst is how many sampled touches an epoch may have, 0 for DefaultBurst; the rest of the epoch is not looked at. It
	// bounds what a sketch costs to a few tens of milliseconds an epoch where a handful of keys gets all the accesses.
	Burst int
	// Accesses tells how many touches there have been so far, sampled or not: a counter that the caller has anyway. With it
	// the curve is corrected for very hot keys that are, or are not, in the sample; nil: no correction. It is called
	// with the sketch's lock held, a few times an epoch.
	Accesses func() uint64
}

// Sketch estimates an application's Curve while it runs: it tracks the keys whose hash lies below a threshold, and
// takes their reuse for everybody's. The threshold falls when there are too many of them, and rises again when there
// are few. This is fixed-size SHARDS (Waldspurger et al., FAST '15) with distances in bytes, and with old counts fading.
//
// All methods are safe for concurrent use. A touch of a key that is not sampled is one load and a comparison; that of
// a sampled one takes a lock for a few hundred nanoseconds.
type Sketch struct {
	threshold atomic.Uint64 // of sampled hashes; 0 while it does not look
	_         [56]byte      // everybody reads the line above, and sampled touches write those below

	mu       sync.Mutex // guards what follows, and changes of threshold
	cfg      Config
	stack    *stack
	counts   histogram
	shift    int     // one in 2^shift keys is sampled
	seen     float64 // accesses that the counted touches stand for, reused or not
	all      float64 // accesses while touches were counted
	from     uint64  // Accesses when that began, or was last added up
	left     int     // sampled touches until it looks away
	learning bool    // the sample was made denser: distances are too short until the new keys are known
	epoch    uint32
}

// NewSketch makes a Sketch that has seen nothing.
func NewSketch(cfg Config) *Sketch {
	if cfg.Keys <= 0 {
		cfg.Keys = DefaultKeys
	}
	cfg.Keys = max(cfg.Keys, MinKeys)
	if cfg.MaxBytes <= 0 || cfg.MaxBytes > maxDistance {
		cfg.MaxBytes = maxDistance
	}
	if cfg.Burst <= 0 {
		cfg.Burst = DefaultBurst
	}
	s := &Sketch{cfg: cfg, stack: newStack(), left: cfg.Burst}
	s.from = s.accessesLocked()
	s.threshold.Store(s.limit())
	return s
}

// Touch tells of an access to a key: by a hash with all bits well mixed, always the same for a key, and with the bytes
// that it takes up in a cache. A miss is told of once the size is known.
func (s *Sketch) Touch(hash uint64, bytes int64) {
	if hash < s.threshold.Load() {
		s.sample(hash, bytes)
	}
}

func (s *Sketch) limit() uint64 { return math.MaxUint64 >> s.shift }

func (s *Sketch) sample(hash uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hash >= s.threshold.Load() {
		return // it fell meanwhile
	}
	weight := float64(uint64(1) << s.shift)
	if !s.learning {
		s.seen += weight
	}
	if bytes <= s.cfg.MaxBytes { // what does not fit anyway displaces nothing
		bytes = max(bytes, 1)
		above, known := s.stack.touch(hash, bytes, s.epoch)
		// A hit is what fits together with all that was touched since. The key itself is there for certain; those
		// above it stand for others.
		if d := float64(above)*weight + float64(bytes); known && !s.learning && d <= float64(s.cfg.MaxBytes) {
			s.counts.add(uint64(d), weight)
		}
		s.trimLocked()
	}
	if s.left--; s.left == 0 {
		s.addUpLocked()
		s.threshold.Store(0)
	}
}

// trimLocked forgets the keys that lie too deep, and makes the sample thinner if there are still too many.
func (s *Sketch) trimLocked() {
	for s.stack.len() > 1 {
		o := s.stack.oldest()
		if float64(s.stack.bytes-o.bytes)*float64(uint64(1)<<s.shift) <= float64(s.cfg.MaxBytes) {
			break
		}
		s.stack.remove(o.hash)
	}
	for s.stack.len() > s.cfg.Keys {
		s.shift++
		s.stack.keepBelow(s.limit())
		s.threshold.Store(s.limit())
	}
}

// Curve is what the touches so far say.
func (s *Sketch) Curve() Curve {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		s.addUpLocked()
	}
	if s.cfg.Accesses == nil {
		return s.counts.curve(s.seen, s.seen)
	}
	return s.counts.curve(s.seen, s.all)
}

// Advance ends an epoch: what was counted so far counts half from now on. An epoch should be long enough for the larger
// part of the working set to be touched; ten seconds to a minute serve well.
func (s *Sketch) Advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		s.addUpLocked()
	}
	if !s.learning {
		s.counts.scale(0.5)
		s.seen /= 2
		s.all /= 2
	}
	s.learning = false
	s.epoch++
	for s.stack.len() > 0 {
		o := s.stack.oldest()
		if s.epoch-o.epoch <= keepEpochs {
			break
		}
		s.stack.remove(o.hash)
	}
	s.thickenLocked()
	// What happened while it looked away is left out, as if the next access had come right after the last one seen. For
	// accesses whose pattern stays the same for an epoch that makes no difference.
	s.left = s.cfg.Burst
	s.from = s.accessesLocked()
	s.threshold.Store(s.limit())
}

// thickenLocked makes the sample denser where it has only few keys left. The keys that come in are new to the sketch, not
// to the application, so for one epoch it only learns them.
func (s *Sketch) thickenLocked() {
	room := s.cfg.Keys / 2 / max(s.stack.len(), 1)
	if by := min(s.shift, bits.Len(uint(room))-1); by > 0 {
		s.shift -= by
		s.learning = true
	}
}

func (s *Sketch) accessesLocked() uint64 {
	if s.cfg.Accesses == nil {
		return 0
	}
	return s.cfg.Accesses()
}

// addUpLocked counts the accesses since it last did.
func (s *Sketch) addUpLocked() {
	now := s.accessesLocked()
	if !s.learning {
		s.all += float64(now - s.from)
	}
	s.from = now
}

// SketchStats of a Sketch now.
type SketchStats struct {
	Keys int     // tracked
	Rate float64 // share of all keys that is sampled
}

// Stats tells what the sketch tracks.
func (s *Sketch) Stats() SketchStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SketchStats{Keys: s.stack.len(), Rate: 1 / float64(uint64(1)<<s.shift)}
}
