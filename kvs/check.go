package kvs

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// What every Store checks before it does anything, in one place so that all refuse the same in the same words.

// CheckValue encodes v if it is live, so that its Size is exact, and refuses as too_large what is over MaxValue.
func CheckValue(v value.Value) (value.Value, error) {
	v, err := v.Measure()
	if err != nil {
		return v, fault.From(err)
	}
	if n := v.Size(); n > MaxValue {
		return v, fault.New(fault.TooLarge, "the value has %d bytes: at most %d (64 MiB) fit under one key; split it over several", n, MaxValue)
	}
	return v, nil
}

// Lifetime is TTL in whole seconds, rounded up; 0 means for ever. A negative TTL is invalid_argument.
func (o PutOptions) Lifetime() (time.Duration, error) {
	if o.TTL < 0 {
		return 0, fault.New(fault.InvalidArgument, "the TTL is %v: give a positive one, or 0 to keep the key", o.TTL)
	}
	if o.TTL == 0 {
		return 0, nil
	}
	return (o.TTL + time.Second - 1).Truncate(time.Second), nil
}

// CheckLimit refuses as invalid_argument a page size outside 1 to MaxPage.
func CheckLimit(limit int) error {
	if limit < 1 || limit > MaxPage {
		return fault.New(fault.InvalidArgument, "a page of %d keys: ask for 1 to %d", limit, MaxPage)
	}
	return nil
}

// BadCursor is what List answers to a cursor that it did not make.
func BadCursor() error {
	return fault.New(fault.InvalidArgument, "the cursor is not one that this store gave: begin the listing again without one")
}
