package jetkv

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/kvs"
)

const (
	// slots is how many parts a namespace's keys fall into, for ever: streams own ranges of them.
	slots = kvs.Slots
	// maxToken bounds a key's token. A subject over about 4 KB closes the connection that used it for good.
	maxToken = 512 // bytes
	// digits is how many values a slot's first hex digit has: the unit in which streams own slots.
	digits = 16
)

// The last tokens of the marks beside a key, see DESIGN.md.
const (
	markDeleted = ".d"
	markTimed   = ".t"
)

// place is where a key lies.
type place struct {
	slot    int
	token   string
	hashed  bool // the token does not tell the key
	subject string
}

// digit is the first hex digit of the slot, which says the shard.
func (p place) digit() int { return p.slot >> 8 }

// locate finds the place of key in a namespace and space.
func locate(ns string, space Space, key kvs.Key) place {
	token, hashed := encodeKey(key)
	p := place{slot: slotOf(ns, key), token: token, hashed: hashed}
	p.subject = p.in(ns, string(space))
	return p
}

// in is the subject squall.<ns>.<space>.<h>.<hh>.<token>.
func (p place) in(ns, space string) string {
	h := fmt3(p.slot)
	return "squall." + ns + "." + space + "." + h[:1] + "." + h[1:] + "." + p.token
}

func fmt3(slot int) string {
	const hex = "0123456789abcdef"
	return string([]byte{hex[slot>>8&15], hex[slot>>4&15], hex[slot&15]})
}

// slotOf hashes the namespace and the key's tag, so that keys with the same tag fall into the same slot.
func slotOf(ns string, key kvs.Key) int {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(ns) // hashing never fails
	_, _ = d.WriteString("\x00")
	_, _ = d.WriteString(key.Tag())
	return int(d.Sum64() % slots)
}

// plain are the bytes that stand for themselves in a token. All others, '~' and '%' among them, are escaped.
var plain = func() (t [256]bool) {
	for c := range 256 {
		b := byte(c)
		t[c] = 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("-_/=:@+,{}", b) >= 0
	}
	return t
}()

// encodeKey turns a key into one token of a subject: plain bytes as they are, others as %XX, and a key whose encoding
// is too long as ~ and the hex SHA-256 of the key. Different keys have different tokens.
func encodeKey(key kvs.Key) (token string, hashed bool) {
	n := len(key)
	for i := range len(key) {
		if !plain[key[i]] {
			n += 2
		}
	}
	if n > maxToken {
		sum := sha256.Sum256([]byte(key))
		return "~" + hex.EncodeToString(sum[:]), true
	}
	if n == len(key) {
		return string(key), false
	}
	b := make([]byte, 0, n)
	for i := range len(key) {
		if c := key[i]; plain[c] {
			b = append(b, c)
		} else {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return string(b), false
}

// decodeToken is the inverse of encodeKey; a hashed token gives no key. ok is false for what encodeKey never makes.
func decodeToken(token string) (key kvs.Key, hashed, ok bool) {
	if strings.HasPrefix(token, "~") {
		raw, err := hex.DecodeString(token[1:])
		return "", true, err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == token[1:]
	}
	if token == "" || len(token) > maxToken {
		return "", false, false
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '%' {
			if i+2 >= len(token) {
				return "", false, false
			}
			x, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
			if err != nil || plain[byte(x)] || strings.ToUpper(token[i+1:i+3]) != token[i+1:i+3] {
				return "", false, false
			}
			c = byte(x)
			i += 2
		} else if !plain[c] {
			return "", false, false
		}
		b = append(b, c)
	}
	return kvs.Key(b), false, true
}

// parsePlace reads "<h>.<hh>.<token>", with a mark behind it or none: the end of a subject.
func parsePlace(s string) (p place, mark string, ok bool) {
	if len(s) < 6 || s[1] != '.' || s[4] != '.' {
		return p, "", false
	}
	slot, err := strconv.ParseUint(s[:1]+s[2:4], 16, 16)
	if err != nil || fmt3(int(slot)) != s[:1]+s[2:4] {
		return p, "", false
	}
	p.slot, p.token = int(slot), s[5:]
	if i := strings.IndexByte(p.token, '.'); i >= 0 {
		p.token, mark = p.token[:i], p.token[i:]
	}
	_, p.hashed, ok = decodeToken(p.token)
	return p, mark, ok
}

// chunkSubject is where chunk n of the write id of p's key lies: squall.<ns>.<space>c.<h>.<hh>.<token>.<id>.<n>. The
// token tells the sweeper which record to look at.
func (s *Store) chunkSubject(p place, id uint64, n int) string {
	return p.in(s.cfg.Namespace, string(s.cfg.Space)+"c") + "." + fmt.Sprintf("%016x", id) + "." + strconv.Itoa(n)
}
