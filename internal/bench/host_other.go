//go:build !linux

package bench

import (
	"os/exec"
	"time"
)

func kernel() string { return "" }

func filesystem(string) string { return "" }

// cpuTime is the CPU time that a process has used so far; false where the system does not tell.
func cpuTime(int) (time.Duration, bool) { return 0, false }

// tether does nothing: a node also ends when its standard input does.
func tether(*exec.Cmd) {}
