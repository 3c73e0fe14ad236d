package fn

import "github.com/squall-faas/squall/value"

// Send sends x to the invocation that to is the address of; see Context.SendValue. Messages of one sender arrive in the
// order in which it sent them, each at most once; outcome_unknown where nobody knows whether this one did.
func Send[T any](c Context, to string, x T) error {
	v, err := value.Of(x)
	if err != nil {
		return err
	}
	return c.SendValue(to, v)
}

// Recv waits for a message and gives it as a T, with the address of its sender; see Context.RecvValue. One that is no T
// is wrong_type, and gone.
func Recv[T any](c Context) (x T, from string, err error) {
	from, v, err := c.RecvValue()
	if err != nil {
		return x, from, err
	}
	x, err = value.As[T](v)
	return x, from, err
}
