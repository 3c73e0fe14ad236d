package fn

import (
	"iter"
	"reflect"

	"github.com/squall-faas/squall/value"
)

// Stream is a list whose items come one at a time; an error ends it. A function that yields one lets the node behind it
// begin before it has returned (NIMBLE, Zhang et al., NSDI '21), and everybody else has the list of all items.
type Stream[T any] = iter.Seq2[T, error]

// StreamType is the coarse type of a stream among those of a function's parameters and result. It fits a list: either may
// stand where the other is asked for.
const StreamType = "stream"

// Emitter is what a Context may also implement: it hears of each item of the result as it comes. Its error ends the
// function.
type Emitter interface{ Emit(item value.Value) error }

// Feeder is what a Context may also implement: it gives the items of an argument that is still being made, or false
// where the argument is a list as it stands.
type Feeder interface {
	Feed(arg int) (iter.Seq2[value.Value, error], bool)
}

// Produce wraps a func of one argument that yields the items of its result. An error that it yields fails the invocation.
func Produce[A, T any](f func(Context, A) Stream[T]) Impl {
	return Impl{
		In: []reflect.Type{reflect.TypeFor[A]()}, Out: reflect.TypeFor[[]T](), Yields: true,
		Invoke: func(c Context, args []value.Value) (value.Value, error) {
			if err := arity(args, 1); err != nil {
				return value.Value{}, err
			}
			a, err := arg[A](args, 0)
			if err != nil {
				return value.Value{}, err
			}
			return emit(c, f(c, a))
		},
	}
}

// Consume wraps a func whose argument is a stream. It may return before it has taken all items. An error among the items
// means that the function which makes them has failed; both are tried again, and what this one returns does not count.
func Consume[T, R any](f func(Context, Stream[T]) (R, error)) Impl {
	return Impl{
		In: []reflect.Type{reflect.TypeFor[[]T]()}, Out: reflect.TypeFor[R](), Streams: true,
		Invoke: func(c Context, args []value.Value) (value.Value, error) {
			items, err := feed[T](c, args)
			if err != nil {
				return value.Value{}, err
			}
			return result(f(c, items))
		},
	}
}

// Pipe wraps a func that makes one stream of another.
func Pipe[T, U any](f func(Context, Stream[T]) Stream[U]) Impl {
	return Impl{
		In: []reflect.Type{reflect.TypeFor[[]T]()}, Out: reflect.TypeFor[[]U](), Streams: true, Yields: true,
		Invoke: func(c Context, args []value.Value) (value.Value, error) {
			items, err := feed[T](c, args)
			if err != nil {
				return value.Value{}, err
			}
			return emit(c, f(c, items))
		},
	}
}

// emit gathers a stream into a list, and lets the Context hear of each item.
func emit[T any](c Context, items Stream[T]) (value.Value, error) {
	e, _ := c.(Emitter)
	all := []value.Value{}
	for x, err := range items {
		if err != nil {
			return value.Value{}, err
		}
		v, err := value.Of(x)
		if err != nil {
			return value.Value{}, err
		}
		if e != nil {
			if err := e.Emit(v); err != nil {
				return value.Value{}, err
			}
		}
		all = append(all, v)
	}
	return value.List(all), nil
}

// feed gives the only argument as a stream.
func feed[T any](c Context, args []value.Value) (Stream[T], error) {
	if err := arity(args, 1); err != nil {
		return nil, err
	}
	if f, ok := c.(Feeder); ok {
		if items, ok := f.Feed(0); ok {
			return decoded[T](items), nil
		}
	}
	list, err := args[0].Elements()
	if err != nil {
		return nil, err
	}
	return decoded[T](func(yield func(value.Value, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}), nil
}

// decoded decodes items one by one; it ends with the first that is no T.
func decoded[T any](items iter.Seq2[value.Value, error]) Stream[T] {
	return func(yield func(T, error) bool) {
		for v, err := range items {
			var x T
			if err == nil {
				x, err = value.As[T](v)
			}
			if !yield(x, err) || err != nil {
				return
			}
		}
	}
}
