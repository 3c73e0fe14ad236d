package xfer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

const (
	// writeChunk is what a reader must take within the stall timeout. It is also what one system call writes.
	writeChunk = 1 << 20

	lingerBytes = 64 << 10
	lingerWait  = time.Second
)

// session is one connection at the server, and the one goroutine that serves it, request by request.
type session struct {
	server *Server
	conn   net.Conn
	peer   string
	in     *bufio.Reader
	op     byte   // of the request
	body   []byte // of the request; used again for each
	out    []byte // the head of the response, or a refusal; likewise
	pieces net.Buffers
}

// serve answers requests until the peer goes, is too slow, or sends what is no request.
func (n *session) serve(ctx context.Context) {
	n.in = bufio.NewReaderSize(n.conn, requestHead+maxRequestBody)
	wait := n.server.cfg.HeaderTimeout // for the first request: who connects has one
	for {
		if n.conn.SetReadDeadline(time.Now().Add(wait)) != nil {
			return
		}
		if _, err := n.in.Peek(1); err != nil || !n.server.mark(n, true) {
			return
		}
		if err := n.read(); err != nil {
			var words *fault.Error
			if errors.As(err, &words) { // else the peer is gone, or too slow
				n.server.stats.refusals.Add(1)
				n.turnAway(err)
			}
			return
		}
		r, err := parseRequest(n.body)
		switch {
		case err != nil:
		case n.op == opShare:
			err = n.answerShare(ctx, &r)
		default:
			err = n.answer(ctx, &r)
		}
		var words *fault.Error
		if errors.As(err, &words) {
			n.server.stats.refusals.Add(1)
			err = n.refuse(words)
		}
		if err != nil || !n.server.mark(n, false) {
			return
		}
		wait = n.server.cfg.IdleTimeout
	}
}

// read takes one request off the connection, into n.body. After a *fault.Error nobody knows where the next one begins.
func (n *session) read() error {
	if err := n.conn.SetReadDeadline(time.Now().Add(n.server.cfg.HeaderTimeout)); err != nil {
		return err
	}
	// The version alone decides what comes after it, so it is looked at alone: another one may have shorter requests.
	first, err := n.in.Peek(1)
	if err == nil {
		err = checkVersion(first[0])
	}
	if err != nil {
		return err
	}
	head, err := n.in.Peek(requestHead)
	if err != nil {
		return err
	}
	n.op = head[1]
	size, err := requestBody(head)
	if err != nil {
		return err
	}
	if cap(n.body) < size {
		n.body = make([]byte, size)
	}
	n.body = n.body[:size]
	if _, err := n.in.Discard(requestHead); err != nil {
		return err
	}
	_, err = io.ReadFull(n.in, n.body)
	return err
}

// answer sends a range. A *fault.Error is for the peer, and nothing has been sent yet; any other is the connection's.
func (n *session) answer(ctx context.Context, r *request) error {
	cfg := &n.server.cfg
	// Before the Source is asked, so that only who has the capability learns what is here.
	if err := r.capability.check(cfg.Secrets, cfg.Namespace, r.ref, time.Now()); err != nil {
		return err
	}
	if err := n.server.crowd.begin(n.peer); err != nil {
		return err
	}
	defer n.server.crowd.end(n.peer)
	blob, view, err := n.open(ctx, r)
	if err != nil {
		return err
	}
	head := response{size: len(view), total: blob.Size()}
	if n.op == opChunks {
		head.sum = chunkSums(blob, r.offset, view).Whole(int64(len(view)))
	} else {
		head.sum = xxhash.Sum64(view)
	}
	n.out = head.append(n.out[:0])
	if err := n.send(n.out, view); err != nil {
		return err
	}
	n.server.stats.ranges.Add(1)
	n.server.stats.bytes.Add(int64(len(view)))
	return nil
}

// open asks the Source for the range.
func (n *session) open(ctx context.Context, r *request) (blob Blob, view []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.server.cfg.HeaderTimeout)
	defer cancel()
	blob, err = n.server.cfg.Source.Open(ctx, r.ref)
	if err == nil {
		total := blob.Size()
		if n.op == opChunks && r.offset%Chunk != 0 {
			return nil, nil, fault.New(fault.InvalidArgument, "chunks from %d on: each begins at a multiple of %d", r.offset, Chunk)
		}
		if r.offset > total || int64(r.length) > total-r.offset {
			return nil, nil, fault.New(fault.InvalidArgument, "%d bytes from %d on of a value of %d: ask within it", r.length, r.offset, total)
		}
		view, err = blob.View(r.offset, r.length)
	}
	var words *fault.Error
	switch {
	case errors.As(err, &words):
		return nil, nil, words
	case err != nil:
		return nil, nil, fault.New(fault.Unavailable, "open the value: %w", err)
	case len(view) != r.length:
		return nil, nil, fault.New(fault.Internal, "the source gave %d bytes of the %d that it was asked for", len(view), r.length)
	}
	return blob, view, nil
}

// send writes head and data; the reader has to keep up with a chunk per stall timeout.
func (n *session) send(head, data []byte) error {
	first := data[:min(len(data), writeChunk)]
	if err := n.conn.SetWriteDeadline(time.Now().Add(n.server.cfg.StallTimeout)); err != nil {
		return err
	}
	n.pieces = append(n.pieces[:0], head)
	if len(first) > 0 { // on a pipe to write nothing is to wait for a reader
		n.pieces = append(n.pieces, first)
	}
	pieces := n.pieces // WriteTo eats what it is called on
	_, err := pieces.WriteTo(n.conn)
	clear(n.pieces) // an idle session must not hold a value
	for rest := data[len(first):]; err == nil && len(rest) > 0; {
		if err = n.conn.SetWriteDeadline(time.Now().Add(n.server.cfg.StallTimeout)); err != nil {
			return err
		}
		var w int
		w, err = n.conn.Write(rest[:min(len(rest), writeChunk)])
		rest = rest[w:]
	}
	return err
}

// refuse says no in words; the connection goes on.
func (n *session) refuse(why *fault.Error) error {
	n.out = appendRefusal(n.out[:0], why)
	return n.send(n.out, nil)
}

// turnAway says no, and that nothing more will be answered. It reads a little of what is still coming: closing a
// connection with bytes unread resets it, and the words would be lost with it.
func (n *session) turnAway(why error) {
	n.out = appendRefusal(n.out[:0], why)
	if n.send(n.out, nil) != nil {
		return
	}
	if half, ok := n.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a peer that is gone already needs no farewell
	}
	if n.conn.SetReadDeadline(time.Now().Add(lingerWait)) == nil {
		_, _ = io.CopyN(io.Discard, n.conn, lingerBytes) // how it ends does not matter
	}
}
