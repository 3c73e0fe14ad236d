package coded

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
)

// chunk is what a peer has to give or take within the stall timeout. It is also what one system call moves at most, little
// enough that the checksum finds it in the processor's cache.
const chunk = 256 << 10

// session is one connection at a lender.
type session struct {
	port    *port
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	pieces  net.Buffers
	sending atomic.Bool // a shard, which keeps its memory
}

// serve answers requests until the client goes, is too slow, or sends what is no request.
func (s *session) serve() error {
	s.in = bufio.NewReaderSize(s.conn, 2<<10) // for heads and keys; a shard is read past it
	hello := make([]byte, helloLen)
	hello[0] = protocol
	nonce := hello[8:]
	_, _ = rand.Read(nonce) // never fails on the platforms we build for
	if err := s.conn.SetDeadline(time.Now().Add(s.port.stall)); err != nil {
		return err
	}
	if _, err := s.conn.Write(hello); err != nil {
		return err
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(s.port.idle)); err != nil {
		return err
	}
	said := make([]byte, proofLen)
	if _, err := io.ReadFull(s.in, said); err != nil {
		return err
	}
	if !hmac.Equal(said, proof(s.port.secret, nonce, s.port.namespace)) {
		err := fault.New(fault.Unauthorized, "this lender is another namespace's, or its secret is another one")
		return errors.Join(err, s.refuse(err))
	}
	head := make([]byte, requestLen)
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(s.port.idle)); err != nil {
			return err
		}
		if _, err := io.ReadFull(s.in, head); err != nil {
			return err
		}
		r, keyLen, err := parseRequest(head)
		if err != nil { // nobody knows where the next one begins
			return errors.Join(err, s.refuse(err))
		}
		if keyLen > 0 {
			key := make([]byte, keyLen)
			if _, err := io.ReadFull(s.in, key); err != nil {
				return err
			}
			r.key = string(key)
		}
		if err := s.answer(&r); err != nil {
			return err
		}
	}
}

// answer answers one request. An error ends the connection.
func (s *session) answer(r *request) error {
	now := time.Now()
	m := s.port.memory
	switch r.op {
	case opGet:
		shard, err := m.Get(r.id, r.stripe, now)
		if err != nil {
			return s.refuse(err)
		}
		return s.send(shard)
	case opPut:
		return s.take(r, now)
	case opSeal:
		if !m.Seal(r.id.Version, now) {
			return s.refuse(fault.New(fault.NotFound, "this lender has nothing of that version"))
		}
		return s.respond(response{}, nil)
	case opDrop:
		column := int(r.id.Column)
		if column == everyColumn {
			column = -1
		}
		m.Drop(r.id.Version, column)
		return s.respond(response{}, nil)
	case opRetire:
		m.Retire(r.id.Version, now)
		return s.respond(response{}, nil)
	}
	var of *lend.Version
	if r.id.Version != (lend.Version{}) {
		of = &r.id.Version
	}
	list, err := cbor.Marshal(m.Held(of))
	if err != nil {
		return s.refuse(fault.New(fault.Internal, "list what is held: %w", err))
	}
	if len(list) > maxList {
		return s.refuse(fault.New(fault.Unavailable, "this lender holds more than can be listed"))
	}
	return s.respond(response{size: len(list), sum: xxhash.Sum64(list)}, list)
}

// send sends a shard from where it lies.
func (s *session) send(shard *lend.Reading) error {
	s.sending.Store(true)
	defer s.sending.Store(false)
	defer shard.Release()
	head := response{size: shard.Size, sum: shard.Sum}
	s.out = head.append(s.out[:0])
	s.pieces = append(append(s.pieces[:0], s.out), shard.Views...)
	defer func() { clear(s.pieces) }()
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.port.stall)); err != nil {
		return err
	}
	pieces := s.pieces // WriteTo eats what it is called on
	_, err := pieces.WriteTo(s.conn)
	return err
}

// take takes a shard in. One that cannot be taken is read all the same, as far as it is worth the connection.
func (s *session) take(r *request, now time.Time) error {
	var w *lend.Writing
	var err error
	switch {
	case s.port.refusing():
		err = fault.New(fault.Overloaded, "this lender is about to stop: put it elsewhere")
	case r.key == "" || r.id.Column == everyColumn:
		err = fault.New(fault.InvalidArgument, "a shard of no object")
	default:
		w, err = s.port.memory.Put(lend.Meta{ID: r.id, Key: r.key, Expires: r.expires}, r.stripe, r.size, now)
	}
	if err != nil {
		if _, e := io.CopyN(io.Discard, stalling{s}, int64(r.size)); e != nil {
			return e
		}
		return s.refuse(err)
	}
	got := newSum(r.id, r.stripe)
	for _, view := range w.Views {
		for at := 0; at < len(view); at += chunk {
			part := view[at:min(at+chunk, len(view))]
			if _, err := io.ReadFull(stalling{s}, part); err != nil {
				w.Abort()
				return err
			}
			_, _ = got.Write(part) // never fails
		}
	}
	if got.Sum64() != r.sum {
		w.Abort()
		return s.refuse(fault.New(fault.Unavailable, "the shard came with wrong bytes: send it again"))
	}
	if !w.Commit(r.sum) {
		return s.refuse(fault.New(fault.Conflict, "the version was dropped while it was written"))
	}
	return s.respond(response{}, nil)
}

// stalling reads with a deadline for each read.
type stalling struct{ *session }

func (s stalling) Read(b []byte) (int, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.port.stall)); err != nil {
		return 0, err
	}
	return s.in.Read(b)
}

func (s *session) respond(r response, body []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.port.stall)); err != nil {
		return err
	}
	s.out = append(r.append(s.out[:0]), body...)
	_, err := s.conn.Write(s.out)
	return err
}

// refuse says no in words; the connection goes on.
func (s *session) refuse(err error) error {
	e := fault.From(err)
	words := e.Message[:min(len(e.Message), maxWords)]
	return s.respond(response{status: statusOf(e.Code), retryAfter: e.RetryAfter, size: len(words), sum: xxhash.Sum64String(words)}, []byte(words))
}
