//go:build !unix

package natsconn

import (
	"fmt"
	"os"
)

// lockFile only checks that the directory is writable: there is no portable advisory lock outside unix.
func lockFile(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	return func() { _ = f.Close() }, nil // nothing was written
}
