package executor

import "sync"

// keepWorkers is how many idle workers wait for the next task: enough for a burst, few enough to cost nothing.
const keepWorkers = 64

// workers runs tasks on goroutines that are used again: a function's stack has grown to what it needs after the first
// few, while a fresh goroutine would grow its own each time. Safe for concurrent use.
type workers struct {
	tasks sync.WaitGroup // under way

	mu     sync.Mutex // guards what follows
	idle   []chan func()
	closed bool
}

// Go runs task on a worker.
func (w *workers) Go(task func()) {
	w.tasks.Add(1)
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		next := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		next <- task
		return
	}
	w.mu.Unlock()
	go w.run(task)
}

// run is one worker. A task may end the goroutine with runtime.Goexit; the worker is then gone, and counted out.
func (w *workers) run(task func()) {
	next := make(chan func(), 1)
	for ok := true; ok; task, ok = <-next {
		w.do(task)
		if !w.rest(next) {
			return
		}
	}
}

func (w *workers) do(task func()) {
	defer w.tasks.Done()
	task()
}

func (w *workers) rest(next chan func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) >= keepWorkers {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// Wait waits for the tasks under way.
func (w *workers) Wait() { w.tasks.Wait() }

// close ends the idle workers; tasks given later run on goroutines of their own.
func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, c := range w.idle {
		close(c)
	}
	w.idle = nil
}
