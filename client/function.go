package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/gobuild"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wasmbin"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Impl is what Register takes: Native and its kin, Wasm, or GoPackage. Made by those only.
type Impl struct {
	native *fn.Impl
	build  func(ctx context.Context) (code []byte, in []string, out string, err error)
	limits runtime.Limits
}

// Native makes a Go func of one argument callable. It runs inside executors that have it compiled in: in the process
// of squall.Open, or of every program that calls squall.Join and registers it.
func Native[A, R any](f func(fn.Context, A) (R, error)) Impl { return Func(fn.Native(f)) }

// Native0 is Native for a func of no arguments.
func Native0[R any](f func(fn.Context) (R, error)) Impl { return Func(fn.Native0(f)) }

// Native2 is Native for a func of two arguments.
func Native2[A, B, R any](f func(fn.Context, A, B) (R, error)) Impl { return Func(fn.Native2(f)) }

// Native3 is Native for a func of three arguments.
func Native3[A, B, C, R any](f func(fn.Context, A, B, C) (R, error)) Impl { return Func(fn.Native3(f)) }

// Effect is Native for a func that returns nothing but an error.
func Effect[A any](f func(fn.Context, A) error) Impl { return Func(fn.Effect(f)) }

// Func makes a native function of what package fn wraps.
func Func(i fn.Impl) Impl { return Impl{native: &i} }

// Wasm makes a function of a WebAssembly module that follows Squall's ABI (docs/formats/wasm-abi.md). It runs in a
// sandbox on any executor.
func Wasm(code []byte) Impl {
	return Impl{build: func(context.Context) ([]byte, []string, string, error) { return code, nil, "", nil }}
}

// GoPackage makes a sandboxed function of an ordinary Go package: the func named symbol in dir,
//
//	func Count(c fn.Context, text string) (map[string]int, error)
//
// is built for wasip1/wasm when it is registered, by the go command on this machine. The same source serves as a
// native function.
func GoPackage(dir, symbol string) Impl {
	return Impl{build: func(ctx context.Context) ([]byte, []string, string, error) {
		code, sig, err := gobuild.Build(ctx, dir, symbol, gobuild.Options{})
		return code, sig.In, sig.Out, err
	}}
}

// WithTimeout bounds the wall time of each invocation; at least a millisecond.
func (i Impl) WithTimeout(d time.Duration) Impl { i.limits.Wall = d; return i }

// WithMemory bounds what one sandboxed instance may use, in bytes.
func (i Impl) WithMemory(bytes int64) Impl { i.limits.Memory = bytes; return i }

// WithOutput bounds the encoded result, in bytes.
func (i Impl) WithOutput(bytes int64) Impl { i.limits.Output = bytes; return i }

// WithConcurrency bounds how many invocations run at once on one executor.
func (i Impl) WithConcurrency(n int) Impl { i.limits.Slots = n; return i }

// RegisterOption changes one registration.
type RegisterOption func(*runtime.Spec)

// App names the application that the function belongs to: on each node, the functions of an application share a part of the
// cache, whose size follows what the application makes of it. Without it, all are of one.
func App(name string) RegisterOption { return func(s *runtime.Spec) { s.App = name } }

// Register makes impl callable under name, as a new version if the name is taken: running calls keep theirs, later
// ones get the new one. It returns once an executor can run it (native), or its code is stored.
//
// invalid_name, wrong_type, invalid_module, invalid_argument for what cannot be a function; native_needs_executor for
// a native function of a client that embeds no executor.
func (c *Client) Register(ctx context.Context, name string, impl Impl, opts ...RegisterOption) (runtime.Spec, error) {
	if err := id.CheckName("function", name); err != nil {
		return runtime.Spec{}, err
	}
	var wanted runtime.Spec
	for _, opt := range opts {
		opt(&wanted)
	}
	if wanted.App != "" {
		if err := id.CheckName("application", wanted.App); err != nil {
			return runtime.Spec{}, err
		}
	}
	spec, err := c.prepare(ctx, name, impl)
	if err != nil {
		return runtime.Spec{}, fault.From(err).With(func(e *fault.Error) { e.Function = name })
	}
	spec.App = wanted.App
	if _, err := c.caller.Admin(ctx, wire.OpPutFunction, &wire.Admin{Function: &spec}); err != nil {
		return runtime.Spec{}, err
	}
	return spec, nil
}

func (c *Client) prepare(ctx context.Context, name string, impl Impl) (runtime.Spec, error) {
	switch {
	case impl.native != nil && c.natives == nil:
		return runtime.Spec{}, fault.New(fault.NativeNeedsExecutor, "this client embeds no executor that could run a Go func: use squall.Join or client.GoPackage")
	case impl.native != nil:
		spec, err := c.natives.Add(name, *impl.native)
		spec.Limits = impl.limits.WithDefaults()
		return spec, err
	case impl.build == nil:
		return runtime.Spec{}, fault.New(fault.InvalidArgument, "no implementation given: use client.Native, client.Wasm or client.GoPackage")
	}
	code, in, out, err := impl.build(ctx)
	if err != nil {
		return runtime.Spec{}, err
	}
	m, err := wasmbin.Inspect(code)
	if err == nil {
		err = m.CheckABI()
	}
	if err != nil {
		return runtime.Spec{}, err
	}
	sum := sha256.Sum256(code)
	spec := runtime.Spec{
		Name: name, Version: hex.EncodeToString(sum[:16]), Kind: runtime.Wasm, Limits: impl.limits.WithDefaults(), In: in, Out: out,
	}
	return spec, c.storeCode(ctx, spec.Version, code)
}

// storeCode puts a module's code where executors find it, unless it is there.
func (c *Client) storeCode(ctx context.Context, version string, code []byte) error {
	v, err := value.Of(code)
	if err != nil {
		return err
	}
	_, err = c.backbone.System.CompareAndSet(ctx, kvs.Key(wire.CodeKey(version)), v, 0, kvs.PutOptions{})
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}
