package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/resp"
)

// redis is a Redis server that fsyncs every write before it answers, and as many connections as there are writers: for
// scale, where one is installed.
type redis struct {
	cmd   *exec.Cmd
	conns []*resp.Conn
}

// startRedis starts one on loopback; not_found where none is installed.
func startRedis(ctx context.Context, dir string, conns int) (*redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fault.New(fault.NotFound, "no redis-server is installed: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "directory of redis-server: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fault.New(fault.Unavailable, "port of redis-server: %w", err)
	}
	address := l.Addr().String()
	_ = l.Close() // redis listens there now
	_, port, _ := net.SplitHostPort(address)
	r := &redis{cmd: exec.CommandContext(ctx, path, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")}
	tether(r.cmd)
	if err := r.cmd.Start(); err != nil {
		return nil, fault.New(fault.Unavailable, "start redis-server: %w", err)
	}
	late := time.Now().Add(stopWait)
	for len(r.conns) < conns {
		c, err := resp.Dial(ctx, address, bareCallWait)
		if err == nil {
			r.conns = append(r.conns, c)
			continue
		}
		if ctx.Err() != nil || time.Now().After(late) {
			r.close()
			return nil, fault.New(fault.Unavailable, "redis-server does not answer: %w", err)
		}
		pause := time.NewTimer(20 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
	return r, nil
}

func (r *redis) close() {
	for _, c := range r.conns {
		_ = c.Close()
	}
	_ = r.cmd.Process.Kill() // what it holds is of no use
	_ = r.cmd.Wait()
}

func (r *redis) set(_ context.Context, worker int, key string, v []byte) error {
	got, err := r.conns[worker].Do([]byte("SET"), []byte(key), v)
	if err == nil && string(got) != "OK" {
		err = fmt.Errorf("redis-server answers %.40q to SET", got)
	}
	return err
}

func (r *redis) mget(_ context.Context, keys []string) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if out[i], err = r.conns[0].Do([]byte("GET"), []byte(key)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
