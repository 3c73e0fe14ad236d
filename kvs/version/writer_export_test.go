package version

// Queued is how many writes wait for others, for tests that have to know.
func (w *Writer) Queued() (n int) {
	for i := range w.lanes {
		l := &w.lanes[i]
		l.mu.Lock()
		n += len(l.queue)
		l.mu.Unlock()
	}
	return n
}
