package fn

import (
	"reflect"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Impl is a Go func made callable by Squall: it decodes its arguments and wraps its result. Make one with Native and
// its kin; the zero Impl is not callable.
type Impl struct {
	// Invoke runs the func. Safe for concurrent use if the func is.
	Invoke func(c Context, args []value.Value) (value.Value, error)
	// In and Out are the Go types of the parameters after the Context, and of the result; Out is nil where there is
	// none.
	In  []reflect.Type
	Out reflect.Type
	// Streams says that the only parameter is a stream, Yields that the result is one; In and Out are their lists then.
	Streams, Yields bool
}

// Check reports as wrong_type a parameter or result type that cannot be a value.
func (i Impl) Check() error {
	if i.Invoke == nil {
		return fault.New(fault.InvalidArgument, "no function given: pass fn.Native(f)")
	}
	for _, t := range i.In {
		if err := value.Encodable(t); err != nil {
			return err
		}
	}
	if i.Out == nil {
		return nil
	}
	return value.Encodable(i.Out)
}

// Native0 wraps a func of no arguments.
func Native0[R any](f func(Context) (R, error)) Impl {
	return Impl{
		Out: reflect.TypeFor[R](),
		Invoke: func(c Context, args []value.Value) (value.Value, error) {
			if err := arity(args, 0); err != nil {
				return value.Value{}, err
			}
			return result(f(c))
		},
	}
}

// Native wraps a func of one argument, the common case.
func Native[A, R any](f func(Context, A) (R, error)) Impl {
	return Impl{
		In:  []reflect.Type{reflect.TypeFor[A]()},
		Out: reflect.TypeFor[R](),
		Invoke: func(c Context, args []value.Value) (value.Value, error) {
			if err := arity(args, 1); err != nil {
				return value.Value{}, err
			}
			a, err := arg[A](args, 0)
			if err != nil {
				return value.Value{}, err
			}
			return result(f(c, a))
		},
	}
}

// Native2 wraps a func of two arguments.
func Native2[A, B, R any](f func(Context, A, B) (R, error)) Impl {
	return Impl{
		In:  []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B]()},
		Out: reflect.TypeFor[R](),
		Invoke: func(c Context, args []value.Value) (value.Value, error) {
			if err := arity(args, 2); err != nil {
				return value.Value{}, err
			}
			a, err := arg[A](args, 0)
			if err != nil {
				return value.Value{}, err
			}
			b, err := arg[B](args, 1)
			if err != nil {
				return value.Value{}, err
			}
			return result(f(c, a, b))
		},
	}
}

// Native3 wraps a func of three arguments. A function that needs more takes a struct.
func Native3[A, B, C, R any](f func(Context, A, B, C) (R, error)) Impl {
	return Impl{
		In:  []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B](), reflect.TypeFor[C]()},
		Out: reflect.TypeFor[R](),
		Invoke: func(ctx Context, args []value.Value) (value.Value, error) {
			if err := arity(args, 3); err != nil {
				return value.Value{}, err
			}
			a, err := arg[A](args, 0)
			if err != nil {
				return value.Value{}, err
			}
			b, err := arg[B](args, 1)
			if err != nil {
				return value.Value{}, err
			}
			c, err := arg[C](args, 2)
			if err != nil {
				return value.Value{}, err
			}
			return result(f(ctx, a, b, c))
		},
	}
}

// Effect wraps a func that returns nothing but an error; its result is null.
func Effect[A any](f func(Context, A) error) Impl {
	i := Native(func(c Context, a A) (struct{}, error) { return struct{}{}, f(c, a) })
	i.Out = nil
	return i
}

func arity(args []value.Value, want int) error {
	if len(args) != want {
		return fault.New(fault.WrongArity, "takes %d arguments, got %d", want, len(args))
	}
	return nil
}

func arg[T any](args []value.Value, i int) (T, error) {
	a, err := value.As[T](args[i])
	if err != nil {
		return a, fault.New(fault.WrongType, "argument %d: %w", i+1, err)
	}
	return a, nil
}

func result[R any](r R, err error) (value.Value, error) {
	if err != nil {
		return value.Value{}, err
	}
	return value.Of(r)
}
