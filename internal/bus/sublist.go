package bus

import (
	"slices"
	"strings"
)

// sublist finds the subscriptions that match a subject: a trie with a level per token. Not safe for concurrent use
// while it changes.
type sublist struct {
	root level
}

// level is what may follow a prefix of tokens.
type level struct {
	literal map[string]*level
	star    *level
	ends    []*subscription // patterns that end here
	tails   []*subscription // patterns that go on with a last `>`
}

// place finds the slice that holds subscriptions to pattern, making levels on the way.
func (t *sublist) place(pattern string) *[]*subscription {
	l := &t.root
	for more := true; more; {
		var token string
		token, pattern, more = strings.Cut(pattern, ".")
		switch token {
		case ">":
			return &l.tails
		case "*":
			if l.star == nil {
				l.star = &level{}
			}
			l = l.star
		default:
			next := l.literal[token]
			if next == nil {
				if l.literal == nil {
					l.literal = make(map[string]*level)
				}
				next = &level{}
				l.literal[token] = next
			}
			l = next
		}
	}
	return &l.ends
}

func (t *sublist) add(s *subscription) {
	at := t.place(s.pattern)
	*at = append(*at, s)
}

func (t *sublist) remove(s *subscription) {
	at := t.place(s.pattern)
	if i := slices.Index(*at, s); i >= 0 {
		*at = slices.Delete(*at, i, i+1)
	}
	t.root.prune(s.pattern)
}

// prune forgets the levels along pattern that lead to nothing, and reports whether l itself does.
func (l *level) prune(pattern string) bool {
	token, rest, more := strings.Cut(pattern, ".")
	switch next := l.literal[token]; {
	case token == ">":
	case token == "*":
		if l.star != nil && (more && l.star.prune(rest) || !more && l.star.empty()) {
			l.star = nil
		}
	case next != nil && (more && next.prune(rest) || !more && next.empty()):
		delete(l.literal, token)
	}
	return l.empty()
}

func (l *level) empty() bool {
	return len(l.literal) == 0 && l.star == nil && len(l.ends) == 0 && len(l.tails) == 0
}

// matches collects the subscriptions that a message goes to. Reset and reuse it.
type matches struct {
	plain  []*subscription
	groups []group
}

// group is the matching members of one queue, whatever pattern each subscribed with.
type group struct {
	queue   string
	members []*subscription
}

func (m *matches) reset() {
	clear(m.plain)
	m.plain = m.plain[:0]
	for i := range m.groups {
		clear(m.groups[i].members)
		m.groups[i].members = m.groups[i].members[:0]
	}
	m.groups = m.groups[:0]
}

func (m *matches) add(subs []*subscription) {
	for _, s := range subs {
		switch {
		case s.conn.detached:
		case s.queue == "":
			m.plain = append(m.plain, s)
		default:
			m.addToGroup(s)
		}
	}
}

func (m *matches) addToGroup(s *subscription) {
	for i := range m.groups {
		if m.groups[i].queue == s.queue {
			m.groups[i].members = append(m.groups[i].members, s)
			return
		}
	}
	if n := len(m.groups); n < cap(m.groups) {
		m.groups = m.groups[:n+1] // keeps the members' slice of an earlier use
		m.groups[n].queue = s.queue
		m.groups[n].members = append(m.groups[n].members[:0], s)
		return
	}
	m.groups = append(m.groups, group{s.queue, []*subscription{s}})
}

// match adds to m what matches subject.
func (t *sublist) match(subject string, m *matches) { t.root.match(subject, m) }

func (l *level) match(subject string, m *matches) {
	m.add(l.tails)
	token, rest, more := strings.Cut(subject, ".")
	if next := l.literal[token]; next != nil {
		next.end(rest, more, m)
	}
	if l.star != nil {
		l.star.end(rest, more, m)
	}
}

func (l *level) end(rest string, more bool, m *matches) {
	if more {
		l.match(rest, m)
		return
	}
	m.add(l.ends)
}
