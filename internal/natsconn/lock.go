package natsconn

import "errors"

// errLocked: the file is locked by another server, of this process or of another.
var errLocked = errors.New("locked")
