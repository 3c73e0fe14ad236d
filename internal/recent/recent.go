// Package recent remembers the last things by key: a window for telling repeated messages from new ones.
package recent

// Window holds the last so many entries; adding one to a full window forgets the oldest. It neither moves nor allocates
// once it is full, and where keys and values hold no pointers the collector has nothing to scan. Not safe for
// concurrent use.
type Window[K comparable, V any] struct {
	at   map[K]int32
	ring []entry[K, V]
	next int
}

type entry[K comparable, V any] struct {
	key   K
	value V
	live  bool
}

// New makes a window of size entries, at least one.
func New[K comparable, V any](size int) *Window[K, V] {
	size = max(size, 1)
	return &Window[K, V]{at: make(map[K]int32, size), ring: make([]entry[K, V], size)}
}

// Add remembers value under key, in the place of what is there.
func (w *Window[K, V]) Add(key K, value V) {
	if i, ok := w.at[key]; ok {
		w.ring[i].value = value
		return
	}
	e := &w.ring[w.next]
	if e.live {
		delete(w.at, e.key)
	}
	*e = entry[K, V]{key, value, true}
	w.at[key] = int32(w.next)
	w.next = (w.next + 1) % len(w.ring)
}

// Get gives what is remembered under key.
func (w *Window[K, V]) Get(key K) (value V, ok bool) {
	i, ok := w.at[key]
	if !ok {
		return value, false
	}
	return w.ring[i].value, true
}

// Has reports whether something is remembered under key.
func (w *Window[K, V]) Has(key K) bool { _, ok := w.at[key]; return ok }

// Newest calls f with the entries, the latest first, until it returns false.
func (w *Window[K, V]) Newest(f func(key K, value V) bool) {
	for n := range len(w.ring) {
		e := &w.ring[(w.next-1-n+2*len(w.ring))%len(w.ring)]
		if !e.live || !f(e.key, e.value) {
			return
		}
	}
}

// Clear forgets everything.
func (w *Window[K, V]) Clear() {
	clear(w.at)
	clear(w.ring)
	w.next = 0
}
