package executor

// Load is how many slots are busy, and how many invocations wait for one. It blocks on nothing that takes long.
func (e *Executor) Load() (busy, queued int) { return e.slots.load() }
