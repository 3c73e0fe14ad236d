package wasm

import (
	"container/list"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
)

// pool holds the idle instances of all functions of a runtime and counts the running ones. The instances of one
// function are used last in, first out, so that the surplus ages; across functions the longest idle goes first.
type pool struct {
	maxInstances int
	maxIdle      int
	maxIdleBytes uint64

	mu        sync.Mutex
	running   int
	idleBytes uint64
	order     list.List                     // of *instance, the longest idle at the back
	idle      map[*function][]*list.Element // each the newest last
	closed    bool
}

var errOverloaded = fault.New(fault.Overloaded, "this executor runs as many WebAssembly instances as it may: try again, or add an executor").
	With(func(e *fault.Error) { e.RetryAfter = 100 * time.Millisecond })

var errClosed = fault.New(fault.Unavailable, "the WebAssembly runtime of this executor is shut down: call another executor")

// acquire admits one more running instance of f, and gives an idle one if there is one. Each success is matched by
// one release.
func (p *pool) acquire(f *function) (*instance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || f.closed {
		return nil, errClosed
	}
	if p.running >= p.maxInstances {
		return nil, errOverloaded
	}
	p.running++
	f.running++
	stack := p.idle[f]
	if len(stack) == 0 {
		return nil, nil
	}
	inst := stack[len(stack)-1].Value.(*instance)
	p.removeLocked(stack[len(stack)-1])
	return inst, nil
}

// release ends what acquire began and keeps inst for the next invocation, if there is one, it is whole, and there is
// room. It closes what it does not keep.
func (p *pool) release(f *function, inst *instance) {
	p.mu.Lock()
	p.running--
	f.running--
	var drop []*instance
	if inst != nil {
		if inst.broken || p.closed || f.closed || inst.mem.size > p.maxIdleBytes/4 {
			drop = append(drop, inst)
		} else {
			inst.idle = time.Now()
			p.idle[f] = append(p.idle[f], p.order.PushFront(inst))
			p.idleBytes += inst.mem.size
			for p.order.Len() > p.maxIdle || p.idleBytes > p.maxIdleBytes {
				drop = append(drop, p.removeLocked(p.order.Back()))
			}
		}
	}
	last := f.closed && f.running == 0
	p.mu.Unlock()
	closeAll(drop)
	if last {
		close(f.unused)
	}
}

// removeLocked takes an idle instance out; p.mu is held.
func (p *pool) removeLocked(e *list.Element) *instance {
	inst := p.order.Remove(e).(*instance)
	p.idleBytes -= inst.mem.size
	stack := p.idle[inst.f]
	for i := len(stack) - 1; i >= 0; i-- {
		if stack[i] == e {
			stack = append(stack[:i], stack[i+1:]...)
			break
		}
	}
	if len(stack) == 0 {
		delete(p.idle, inst.f)
	} else {
		p.idle[inst.f] = stack
	}
	return inst
}

// trim closes the instances that have been idle since before.
func (p *pool) trim(before time.Time) {
	p.mu.Lock()
	var drop []*instance
	for e := p.order.Back(); e != nil && e.Value.(*instance).idle.Before(before); e = p.order.Back() {
		drop = append(drop, p.removeLocked(e))
	}
	p.mu.Unlock()
	closeAll(drop)
}

// retire closes f's idle instances and lets no more be acquired. f.unused is closed once none runs.
func (p *pool) retire(f *function) {
	p.mu.Lock()
	if f.closed {
		p.mu.Unlock()
		return
	}
	f.closed = true
	var drop []*instance
	for len(p.idle[f]) > 0 {
		drop = append(drop, p.removeLocked(p.idle[f][0]))
	}
	last := f.running == 0
	p.mu.Unlock()
	closeAll(drop)
	if last {
		close(f.unused)
	}
}

func closeAll(insts []*instance) {
	for _, inst := range insts {
		inst.close()
	}
}

// shut lets nothing more be acquired.
func (p *pool) shut() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
}
