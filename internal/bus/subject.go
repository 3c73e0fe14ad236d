package bus

import (
	"strings"

	"github.com/squall-faas/squall/fault"
)

// MaxSubject is the longest subject, reply subject, pattern or queue name in bytes. NATS closes a connection, for all
// who share it, on a protocol line over 4 KiB; a line carries a subject, a reply and a few numbers.
const MaxSubject = 1 << 10

// CheckSubject refuses, as invalid_argument, what must not be published to: an empty subject or token, one over
// MaxSubject, wildcards, blanks and control characters.
func CheckSubject(s string) error {
	if i := scan(s, false); i >= 0 {
		return badSubject("subject", s, i)
	}
	return nil
}

// CheckPattern refuses, as invalid_argument, what must not be subscribed to: as CheckSubject, but `*` may stand for a
// token and `>` for the last.
func CheckPattern(s string) error {
	if i := scan(s, true); i >= 0 {
		return badSubject("subscription", s, i)
	}
	return nil
}

// CheckQueue refuses, as invalid_argument, a queue name with blanks or control characters and one over MaxSubject.
func CheckQueue(s string) error {
	if len(s) > MaxSubject {
		return badSubject("queue", s, MaxSubject)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return badSubject("queue", s, i)
		}
	}
	return nil
}

// scan gives the index of the first byte at fault, or -1.
func scan(s string, pattern bool) int {
	if len(s) > MaxSubject {
		return MaxSubject
	}
	start := 0 // of the token
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if i == start {
				return i
			}
			start = i + 1
		case c <= ' ' || c == 0x7f:
			return i
		case c == '*':
			if !pattern || i > start || i+1 < len(s) && s[i+1] != '.' {
				return i
			}
		case c == '>':
			if !pattern || i > start || i+1 < len(s) {
				return i
			}
		}
	}
	if start == len(s) {
		return start
	}
	return -1
}

func badSubject(what, s string, at int) error {
	if len(s) > 64 {
		return fault.New(fault.InvalidArgument, "%s %q… of %d bytes is malformed at byte %d: use at most %d bytes, tokens joined by single dots, no blanks", what, s[:64], len(s), at, MaxSubject)
	}
	return fault.New(fault.InvalidArgument, "%s %q is malformed at byte %d: use tokens joined by single dots, without blanks or misplaced wildcards", what, s, at)
}

// Match reports whether a valid pattern matches a valid subject.
func Match(pattern, subject string) bool {
	for {
		p, prest, pmore := strings.Cut(pattern, ".")
		if p == ">" {
			return true
		}
		s, srest, smore := strings.Cut(subject, ".")
		if p != "*" && p != s || pmore != smore {
			return false
		}
		if !pmore {
			return true
		}
		pattern, subject = prest, srest
	}
}
