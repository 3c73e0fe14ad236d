package xfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

const (
	// stallChunk is what a server must send within the stall timeout.
	stallChunk = 256 << 10
	// readChunk is what one system call reads: it is still in the processor's cache when it is summed.
	readChunk = 512 << 10
)

// read sends one request and reads its range right into dst, whose length is that of the range. answered reports whether
// the server has sent anything, and seen is set to the checksums of what came, one or one of each chunk. The connection is cut when ctx ends; after an error it can be used again only if the
// error is a refusal that keeps says so of.
func (c *peerConn) read(ctx context.Context, r *request, total int64, dst []byte, stall time.Duration, got *atomic.Int64, l *link, seen Sums) (answered bool, err error) {
	release := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer func() {
		if !release() { // it is being cut, or will be as soon as somebody reads
			err = ctx.Err()
		}
	}()
	began := time.Now()
	if err := c.SetDeadline(began.Add(stall)); err != nil {
		return false, c.broken(r, 0, err)
	}
	c.out = r.append(c.out[:0])
	if _, err := c.Write(c.out); err != nil {
		return false, c.broken(r, 0, err)
	}
	n, err := io.ReadFull(c, c.head[:])
	if err != nil {
		return n > 0, c.broken(r, 0, err)
	}
	head, err := parseResponse(c.head[:])
	if err != nil {
		return true, c.named(err)
	}
	if head.status != statusOK {
		return true, c.refused(head)
	}
	if head.total != total {
		return true, fault.New(fault.InvalidArgument, "peer %s: its value has %d bytes, not %d: pass the size that was announced with the reference", c.addr, head.total, total)
	}
	if head.size != len(dst) {
		return true, fault.New(fault.Internal, "peer %s: answers with %d bytes for a range of %d", c.addr, head.size, len(dst))
	}
	if len(dst) < minMeasured {
		l.trip(time.Since(began))
	}
	var sum xxhash.Digest
	sum.Reset()
	piece := len(dst) // that has a sum of its own
	if r.op == opChunks {
		piece = Chunk
	}
	for at, due := 0, 0; at < len(dst); {
		if at >= due {
			due = min(at+stallChunk, len(dst))
			if err := c.SetReadDeadline(time.Now().Add(stall)); err != nil {
				return true, c.broken(r, at, err)
			}
		}
		n, err := c.Read(dst[at:min(at+readChunk, (at/piece+1)*piece, len(dst))])
		_, _ = sum.Write(dst[at : at+n]) // never fails
		at += n
		if n > 0 && (at%piece == 0 || at == len(dst)) {
			seen[(at-1)/piece] = sum.Sum64()
			sum.Reset()
		}
		got.Store(int64(at))
		if err != nil && at < len(dst) {
			return true, c.broken(r, at, err)
		}
	}
	whole := seen[0]
	if r.op == opChunks {
		whole = seen.Whole(int64(len(dst)))
	}
	if whole != head.sum {
		return true, fault.New(fault.Unavailable, "peer %s: %s came with wrong bytes: their checksum is not the one announced", c.addr, r)
	}
	return true, nil
}

func (c *peerConn) broken(r *request, at int, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.Unavailable, "peer %s: stalled after %d bytes of %s: %w", c.addr, at, r, err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fault.New(fault.Unavailable, "peer %s: broke off after %d bytes of %s: %w", c.addr, at, r, err)
}

func (c *peerConn) named(err error) error {
	return fault.New(fault.CodeOf(err), "peer %s: %w", c.addr, err)
}

// refused reads the words of a refusal.
func (c *peerConn) refused(head response) error {
	words := make([]byte, head.size)
	if _, err := io.ReadFull(c, words); err != nil {
		words = []byte("refuses, and its words were cut off")
	} else if xxhash.Sum64(words) != head.sum {
		return fault.New(fault.Unavailable, "peer %s: a refusal came with wrong bytes", c.addr)
	}
	return head.status.err(c.addr, string(words), head.retryAfter)
}

// keeps reports whether a connection stands between two requests after err: the server goes on after these refusals.
func keeps(err error) bool {
	return err == nil || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthorized)
}

// String says which range is meant.
func (r *request) String() string {
	return fmt.Sprintf("bytes %d to %d", r.offset, r.offset+int64(r.length))
}
