package wasm

import (
	"context"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// function is one loaded module.
type function struct {
	rt       *Runtime
	compiled wazero.CompiledModule
	memory   uint64 // bytes one instance may use
	output   int64  // bytes of a result

	// Guarded by rt.pool.mu.
	running int
	closed  bool

	unused    chan struct{} // closed once closed and running is 0
	closeOnce sync.Once
}

// Invoke implements runtime.Callable.
func (f *function) Invoke(c fn.Context, args []value.Value) (out value.Value, err error) {
	err = f.with(c, func(inst *instance) error {
		out, err = inst.call(c, args)
		return err
	})
	return out, err
}

// with runs do on an instance that is its alone meanwhile.
func (f *function) with(c fn.Context, do func(*instance) error) error {
	if c.Err() != nil {
		return fn.Ended(c)
	}
	inst, err := f.rt.pool.acquire(f)
	if err != nil {
		return err
	}
	defer func() { f.rt.pool.release(f, inst) }()
	if inst == nil {
		if inst, err = f.instantiate(c); err != nil {
			return err
		}
	}
	return do(inst)
}

// Close implements runtime.Callable: it waits for the invocations under way.
func (f *function) Close() error {
	f.rt.pool.retire(f)
	<-f.unused
	var err error
	f.closeOnce.Do(func() {
		f.rt.forget(f)
		err = f.compiled.Close(context.Background())
	})
	if err != nil {
		return fault.New(fault.Internal, "release a compiled module: %w", err)
	}
	return nil
}
