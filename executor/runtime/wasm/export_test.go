package wasm

// Idle is how many instances the pool holds, and their memory in bytes.
func (r *Runtime) Idle() (n int, bytes uint64) {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	return r.pool.order.Len(), r.pool.idleBytes
}
