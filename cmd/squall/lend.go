package main

import (
	"strconv"

	"github.com/spf13/pflag"
)

// lendSize is a flag's value of bytes that an executor lends at most: 0 where the flag is not given, which is the default,
// and negative where nothing is to be lent.
type lendSize int64

var _ pflag.Value = (*lendSize)(nil)

const lendUsage = "memory lent to the fleet at most, for objects (default a quarter of what there is; none lends nothing)"

// Set reads it.
func (s *lendSize) Set(text string) error {
	var n byteSize
	if text != "none" {
		if err := n.Set(text); err != nil {
			return err
		}
	}
	*s = lendSize(n)
	if n == 0 {
		*s = -1
	}
	return nil
}

// String gives it back.
func (s *lendSize) String() string {
	if *s < 0 {
		return "none"
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Type names it in the help.
func (s *lendSize) Type() string { return "size" }
