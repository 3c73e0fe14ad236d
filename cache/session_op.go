package cache

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/squall-faas/squall/kvs/lattice"
)

// opID names the session's next operation, the same when the invocation is executed again.
func (s *Session) opID() lattice.OpID {
	s.ops++
	if s.c.cfg.Break == BreakOnce {
		return lattice.OpID{}
	}
	if s.cfg.Invocation == nil {
		return lattice.OpID{}
	}
	if s.name == "" {
		s.name = s.cfg.Invocation.Name()
	}
	return OpID(s.name, s.ops)
}

// OpID names one operation of one invocation.
func OpID(invocation string, op uint32) lattice.OpID {
	h := sha256.New()
	h.Write([]byte(invocation))
	h.Write(binary.LittleEndian.AppendUint32([]byte{0}, op))
	return lattice.OpID(h.Sum(nil)[:16])
}
