package bus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

// naiveMatch is Match as one would write it first.
func naiveMatch(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, t := range p {
		switch {
		case t == ">":
			return len(s) > i
		case i >= len(s), t != "*" && t != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// naiveValid is scan as one would write it first.
func naiveValid(s string, pattern bool) bool {
	if len(s) > MaxSubject || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return false
	}
	tokens := strings.Split(s, ".")
	for i, t := range tokens {
		wild := t == "*" || t == ">" && i == len(tokens)-1
		if t == "" || strings.ContainsAny(t, "*>") && (!pattern || !wild) {
			return false
		}
	}
	return true
}

func FuzzSubject(f *testing.F) {
	for _, s := range []string{"", ".", "a", "a.b", "a.*.c", "a.>", ">", "a..b", "*.*", "a b", "a.b>", "**", "a\x00"} {
		f.Add(s, "a.b.c")
	}
	f.Fuzz(func(t *testing.T, pattern, subject string) {
		if got, want := CheckPattern(pattern) == nil, naiveValid(pattern, true); got != want {
			t.Fatalf("pattern %q: valid %v, want %v", pattern, got, want)
		}
		err := CheckSubject(subject)
		if want := naiveValid(subject, false); (err == nil) != want {
			t.Fatalf("subject %q: %v, want valid %v", subject, err, want)
		}
		if err != nil && (!fault.Is(err, fault.InvalidArgument) || strings.ContainsAny(err.Error(), "\r\n\x00")) {
			t.Fatalf("subject %q: error %q", subject, err)
		}
		if naiveValid(pattern, true) && naiveValid(subject, false) {
			if got, want := Match(pattern, subject), naiveMatch(pattern, subject); got != want {
				t.Fatalf("match %q %q: %v, want %v", pattern, subject, got, want)
			}
		}
	})
}

// TestSublistAgainstModel compares the trie with a list that is searched, while subscriptions come and go.
func TestSublistAgainstModel(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "b", "c"})
	subject := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(token, 1, 4).Draw(t, "tokens"), ".")
	})
	pattern := rapid.Custom(func(t *rapid.T) string {
		p := strings.Split(subject.Draw(t, "base"), ".")
		for i := range p {
			if rapid.IntRange(0, 2).Draw(t, "star") == 0 {
				p[i] = "*"
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "tail") == 0 {
			p[len(p)-1] = ">"
		}
		return strings.Join(p, ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		var trie sublist
		var list []*subscription
		var m matches
		gone := &conn{detached: true}
		here := &conn{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				s := &subscription{
					conn:    rapid.SampledFrom([]*conn{here, here, gone}).Draw(t, "conn"),
					pattern: pattern.Draw(t, "pattern"),
					queue:   rapid.SampledFrom([]string{"", "", "q", "r"}).Draw(t, "queue"),
				}
				trie.add(s)
				list = append(list, s)
			},
			"remove": func(t *rapid.T) {
				if len(list) == 0 {
					return
				}
				i := rapid.IntRange(0, len(list)-1).Draw(t, "i")
				trie.remove(list[i])
				list = slices.Delete(list, i, i+1)
			},
			"match": func(t *rapid.T) {
				s := subject.Draw(t, "subject")
				m.reset()
				trie.match(s, &m)
				var got, want []string
				for _, x := range m.plain {
					got = append(got, fmt.Sprintf("%p", x))
				}
				for _, g := range m.groups {
					for _, x := range g.members {
						got = append(got, fmt.Sprintf("%p in %s", x, g.queue))
					}
				}
				for _, x := range list {
					switch {
					case x.conn == gone || !naiveMatch(x.pattern, s):
					case x.queue == "":
						want = append(want, fmt.Sprintf("%p", x))
					default:
						want = append(want, fmt.Sprintf("%p in %s", x, x.queue))
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("%s: got %v, want %v", s, got, want)
				}
			},
		})
		for _, s := range list {
			trie.remove(s)
		}
		if !trie.root.empty() {
			t.Fatalf("levels are left when every subscription is gone: %+v", trie.root)
		}
	})
}
