package id

import "github.com/squall-faas/squall/fault"

// MaxName is the longest name in bytes. Names become tokens of NATS subjects, and a subject over about 4 KB closes
// the connection that used it for good.
const MaxName = 128

// CheckName refuses what could not stand as one token of a subject: only [A-Za-z0-9_-], 1 to MaxName bytes.
// what says which name is meant, for the message ("function", "DAG"). Every name a user chooses passes here before
// anything subscribes or publishes to it.
func CheckName(what, name string) error {
	if name == "" {
		return fault.New(fault.InvalidName, "%s name is empty: give it 1 to %d characters of A-Z, a-z, 0-9, _ and -", what, MaxName)
	}
	if len(name) > MaxName {
		return fault.New(fault.InvalidName, "%s name %.20q… has %d characters: at most %d are allowed", what, name, len(name), MaxName)
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return fault.New(fault.InvalidName, "%s name %q has %q at position %d: use only A-Z, a-z, 0-9, _ and -", what, name, name[i:i+1], i)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
