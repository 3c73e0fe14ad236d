package coded

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
)

// TestFrames: what is written is what is read.
func TestFrames(t *testing.T) {
	r := request{
		op: opPut, id: lend.ID{Version: lend.Version{1, 2, 3}, Column: 9}, stripe: 1 << 20, size: layout.ShardBytes, key: "a key",
		sum: 1<<63 + 5, expires: time.UnixMilli(1_800_000_000_123),
	}
	b := r.append(nil)
	got, key, err := parseRequest(b[:requestLen])
	if got.key = string(b[requestLen:]); err != nil || key != len(r.key) || got != r {
		t.Fatalf("%+v %v", got, err)
	}
	s := response{status: statusOf(fault.Overloaded), retryAfter: 1500 * time.Millisecond, size: 100, sum: 7}
	if back, err := parseResponse(s.append(nil)); err != nil || back != s {
		t.Fatalf("%+v %v", back, err)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add((&request{op: opGet}).append(nil))
	f.Add((&request{op: opPut, size: 10, key: "k"}).append(nil)[:requestLen])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < requestLen {
			return
		}
		r, key, err := parseRequest(b)
		if err != nil {
			return
		}
		if key > maxKey || r.size < 0 || r.size > layout.ShardBytes || r.op == opPut && r.size == 0 {
			t.Fatalf("%+v, a key of %d", r, key)
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add((&response{size: 5}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < responseLen {
			return
		}
		if r, err := parseResponse(b); err == nil && (r.size < 0 || r.size > maxList || r.status != 0 && r.size > maxWords) {
			t.Fatalf("%+v", r)
		}
	})
}

// TestHostileClients: who knows no secret, says nonsense or says nothing changes nothing, and is let go.
func TestHostileClients(t *testing.T) {
	w := newWorld(t, setup{lenders: 1})
	w.put("k", []byte("value"), PutOptions{})
	l := w.lenders[0]
	drop := (&request{op: opDrop, id: lend.ID{Version: l.memory.Held(nil)[0].Version, Column: everyColumn}}).append(nil)
	for what, say := range map[string]func(nonce []byte) []byte{
		"no proof":      func([]byte) []byte { return drop },
		"a wrong proof": func([]byte) []byte { return append(make([]byte, proofLen), drop...) },
		"nonsense":      func(n []byte) []byte { return append(proof(w.secret, n, "test"), random(1, 4096)...) },
		"a later version": func(n []byte) []byte {
			b := append(proof(w.secret, n, "test"), drop...)
			b[proofLen] = 9
			return b
		},
		"a huge shard": func(n []byte) []byte {
			return (&request{op: opPut, size: 1 << 31, key: "k"}).append(proof(w.secret, n, "test"))
		},
		"wrong bytes": func(n []byte) []byte {
			return append((&request{op: opPut, size: 5, key: "k", sum: 1, id: lend.ID{Version: lend.Version{5}}}).append(proof(w.secret, n, "test")), "wrong"...)
		},
		"a shard of nothing": func(n []byte) []byte {
			return append((&request{op: opPut, size: 5, id: lend.ID{Version: lend.Version{5}}}).append(proof(w.secret, n, "test")), "wrong"...)
		},
	} {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		hello := make([]byte, helloLen)
		if _, err := io.ReadFull(c, hello); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(say(hello[8:]))
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, _ := io.ReadAll(c)
		if len(answer) >= responseLen && answer[1] == 0 {
			t.Errorf("%s: consented, %x", what, answer)
		}
		_ = c.Close()
	}
	w.want("k", []byte("value"))
	if held := l.memory.Held(nil); len(held) != 1 || !bytes.Equal(held[0].Version[:], l.memory.Held(nil)[0].Version[:]) {
		t.Fatal(held)
	}
}
