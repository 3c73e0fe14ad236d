package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/internal/peer"
)

// lender is a process that lends memory, with a keeper beside it, as an executor has them. It gives the lender's id.
func lender(ctx context.Context, cfg nodeConfig) (address string, end func() error, err error) {
	b, err := backbone.Dial(ctx, backbone.Options{Conn: natsconn.Options{URL: cfg.URL, Name: cfg.Name}})
	if err != nil {
		return "", nil, err
	}
	end = b.Close
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	tier, err := objects(ctx, b)
	if err != nil {
		return "", nil, err
	}
	end = func() error { return errors.Join(tier.Close(), b.Close()) }
	lc := coded.LenderConfig{Name: cfg.Name, Most: cfg.Lend, Lend: cfg.Lend}
	if cfg.Delay > 0 {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", nil, fault.New(fault.Unavailable, "port of lender %s: %w", cfg.Name, err)
		}
		lc.Listener = delayed{l, time.Duration(cfg.Delay) * time.Millisecond}
	}
	l, err := coded.NewLender(tier, lc)
	if err != nil {
		return "", nil, err
	}
	k := coded.NewKeeper(tier, coded.KeeperConfig{Self: l.ID()})
	return l.ID(), func() error {
		k.Close()
		return errors.Join(l.Close(), tier.Close(), b.Close())
	}, nil
}

// objects is the coded tier over a backbone.
func objects(ctx context.Context, b *backbone.Backbone) (*coded.Tier, error) {
	secret, err := peer.Secret(ctx, b.System)
	if err != nil {
		return nil, err
	}
	return coded.New(coded.Config{Namespace: b.Namespace, Bus: b.Bus, Store: b.System, Secret: secret})
}

// delayed is a listener whose connections take longer to answer.
type delayed struct {
	net.Listener
	by time.Duration
}

func (d delayed) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &delayedConn{Conn: c, by: d.by}, nil
}

type delayedConn struct {
	net.Conn
	by time.Duration
}

func (c *delayedConn) Write(b []byte) (int, error) {
	time.Sleep(c.by)
	return c.Conn.Write(b)
}

// What a client of a copier asks: so many bytes, to it or from it.
const (
	copyGive = 'g'
	copyTake = 't'
	copyHead = 9
)

// copier is the floor: a process that gives and takes bytes over one plain TCP connection, from and into memory that it
// has already.
func copier(ctx context.Context) (address string, end func() error, err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fault.New(fault.Unavailable, "port of the copier: %w", err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			copyFor(c)
			stop()
			_ = c.Close()
		}
	})
	return l.Addr().String(), func() error {
		err := l.Close()
		work.Wait()
		return err
	}, nil
}

func copyFor(c net.Conn) {
	var memory []byte
	var head [copyHead]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint64(head[1:]))
		if len(memory) < n {
			memory = make([]byte, n)
		}
		var err error
		if head[0] == copyGive {
			_, err = c.Write(memory[:n])
		} else if _, err = io.ReadFull(c, memory[:n]); err == nil {
			_, err = c.Write(head[:1])
		}
		if err != nil {
			return
		}
	}
}

// copied is the client's end of a copier.
type copied struct{ conn net.Conn }

func (c copied) give(b []byte) error {
	_, err := c.conn.Write(binary.BigEndian.AppendUint64([]byte{copyTake}, uint64(len(b))))
	if err == nil {
		_, err = c.conn.Write(b)
	}
	if err == nil {
		_, err = io.ReadFull(c.conn, make([]byte, 1))
	}
	return err
}

func (c copied) take(b []byte) error {
	_, err := c.conn.Write(binary.BigEndian.AppendUint64([]byte{copyGive}, uint64(len(b))))
	if err == nil {
		_, err = io.ReadFull(c.conn, b)
	}
	return err
}
