package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap sleeps for at most d, more exactly than a timer of the runtime, by blocking a thread. A signal ends it early.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // the caller looks at the time
}
