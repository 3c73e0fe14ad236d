//go:build !linux

package cputime

import "time"

// Of is not known here.
func Of(int) (time.Duration, bool) { return 0, false }
