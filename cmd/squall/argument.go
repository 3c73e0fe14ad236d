package main

import (
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// argumentsHelp is how values stand on a command line.
const argumentsHelp = `A value is JSON: 41, '"text"', '[1,2]', '{"a":null}', '{"$ref":"key"}' for what is stored under a key. @file is the
bytes of a file, - those of stdin. With --string values are text as they stand. Put -- before values that begin with
a dash.`

// argument reads a value from the command line.
func (a *app) argument(s string, text bool) (value.Value, error) {
	switch {
	case text:
		return value.Of(s)
	case s == "-":
		b, err := a.read("-")
		if err != nil {
			return value.Value{}, err
		}
		return value.Of(b)
	case strings.HasPrefix(s, "@"):
		b, err := a.read(s[1:])
		if err != nil {
			return value.Value{}, err
		}
		return value.Of(b)
	}
	v, err := value.FromJSON([]byte(s))
	if err != nil {
		return v, fault.New(fault.InvalidArgument, "%.40q is not JSON: write text as '\"text\"' or use --string, a file as @file: %w", s, err)
	}
	return v, nil
}

// read gives the bytes of a file, of stdin for "-".
func (a *app) read(path string) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "%w", err)
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, kvs.MaxValue+1))
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "read %s: %w", path, err)
	}
	if len(b) > kvs.MaxValue {
		return nil, fault.New(fault.TooLarge, "%s has more than %d bytes (1 GiB), the most that a value may have", path, kvs.MaxValue)
	}
	return b, nil
}

// byteSize is a flag for a number of bytes: 1048576, 64KiB, 256MiB, 2GiB.
type byteSize int64

var _ pflag.Value = (*byteSize)(nil)

// Set reads it.
func (s *byteSize) Set(text string) error {
	digits, unit := text, int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if d, ok := strings.CutSuffix(text, suffix); ok {
			digits, unit = strings.TrimSpace(d), u
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return fault.New(fault.InvalidArgument, "%q is no size: write bytes, or 64KiB, 256MiB, 2GiB", text)
	}
	*s = byteSize(n * unit)
	return nil
}

// String gives it back.
func (s *byteSize) String() string { return strconv.FormatInt(int64(*s), 10) }

// Type names it in the help.
func (s *byteSize) Type() string { return "size" }
