package natsconn_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once unless something is broken.
const patience = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func embed(t *testing.T, o natsconn.ServerOptions) *natsconn.Server {
	t.Helper()
	s, err := natsconn.Embed(o)
	if err != nil {
		t.Fatalf("embed: %v", err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t *testing.T, dial func(context.Context, natsconn.Options) (*nats.Conn, error), o natsconn.Options) *nats.Conn {
	t.Helper()
	c, err := dial(within(t), o)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// echo makes sure that a and b are connected to each other.
func echo(t *testing.T, a, b *nats.Conn) {
	t.Helper()
	sub, err := a.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	if err == nil {
		err = a.Flush()
	}
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	m, err := b.RequestWithContext(within(t), "echo", []byte("hello"))
	if err != nil || string(m.Data) != "hello" {
		t.Fatalf("request: got %v, %v", m, err)
	}
}

func TestInProcessAndTCPMeet(t *testing.T) {
	s := embed(t, natsconn.ServerOptions{Durability: natsconn.Memory, Listen: "127.0.0.1:0"})
	in := connect(t, s.Dial, natsconn.Options{Name: "in"})
	out := connect(t, natsconn.Dial, natsconn.Options{URL: s.URL(), Name: "out"})
	echo(t, in, out)
	echo(t, out, in)
	if got := out.MaxPayload(); got != natsconn.DefaultMaxPayload {
		t.Errorf("max payload %d, want %d", got, natsconn.DefaultMaxPayload)
	}
}

func TestNoListener(t *testing.T) {
	s := embed(t, natsconn.ServerOptions{NoJetStream: true})
	if s.URL() != "" {
		t.Errorf("URL %q of a server that does not listen", s.URL())
	}
	echo(t, connect(t, s.Dial, natsconn.Options{}), connect(t, s.Dial, natsconn.Options{}))
}

func TestDataSurvivesRestart(t *testing.T) {
	for _, d := range []natsconn.Durability{natsconn.Durable, natsconn.Interval} {
		t.Run(d.String(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "deep", "data")
			bucket := func(s *natsconn.Server) (jetstream.KeyValue, *nats.Conn) {
				c := connect(t, s.Dial, natsconn.Options{})
				js, err := jetstream.New(c)
				if err != nil {
					t.Fatalf("jetstream: %v", err)
				}
				kv, err := js.CreateOrUpdateKeyValue(within(t), jetstream.KeyValueConfig{Bucket: "b"})
				if err != nil {
					t.Fatalf("bucket: %v", err)
				}
				return kv, c
			}
			s := embed(t, natsconn.ServerOptions{StoreDir: dir, Durability: d})
			kv, c := bucket(s)
			if _, err := kv.Put(within(t), "k", []byte("v")); err != nil {
				t.Fatalf("put: %v", err)
			}
			c.Close()
			s.Shutdown()
			s.Shutdown()

			kv, _ = bucket(embed(t, natsconn.ServerOptions{StoreDir: dir, Durability: d}))
			e, err := kv.Get(within(t), "k")
			if err != nil || string(e.Value()) != "v" {
				t.Fatalf("get after restart: %v, %v", e, err)
			}
		})
	}
}

func TestMemoryLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := embed(t, natsconn.ServerOptions{Durability: natsconn.Memory})
	s.Shutdown()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) != 0 {
		t.Fatalf("temporary directory after shutdown: %v, %v", left, err)
	}
}

func TestEmbedRefuses(t *testing.T) {
	taken := embed(t, natsconn.ServerOptions{NoJetStream: true, Listen: "127.0.0.1:0"})
	port := strings.TrimPrefix(taken.URL(), "nats://")
	held := t.TempDir()
	embed(t, natsconn.ServerOptions{StoreDir: held})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    natsconn.ServerOptions
		want string
	}{
		"no directory":         {natsconn.ServerOptions{}, "needs a data directory"},
		"directory in use":     {natsconn.ServerOptions{StoreDir: held}, "in use by another server"},
		"directory is a file":  {natsconn.ServerOptions{StoreDir: file}, "cannot be used"},
		"below a file":         {natsconn.ServerOptions{StoreDir: filepath.Join(file, "x")}, "cannot be used"},
		"memory in directory":  {natsconn.ServerOptions{StoreDir: held, Durability: natsconn.Memory}, "leave it empty"},
		"unknown durability":   {natsconn.ServerOptions{StoreDir: held, Durability: 7}, "unknown durability"},
		"port taken":           {natsconn.ServerOptions{NoJetStream: true, Listen: port}, "is in use"},
		"port taken, with js":  {natsconn.ServerOptions{StoreDir: t.TempDir(), Listen: port}, "is in use"},
		"listen without port":  {natsconn.ServerOptions{NoJetStream: true, Listen: "localhost"}, "host:port"},
		"listen on port name":  {natsconn.ServerOptions{NoJetStream: true, Listen: ":nats"}, "0 to 65535"},
		"listen elsewhere":     {natsconn.ServerOptions{NoJetStream: true, Listen: "192.0.2.1:0"}, "listen on"},
		"payload too large":    {natsconn.ServerOptions{NoJetStream: true, MaxPayload: 9 << 20}, "maximum payload"},
		"name with blank":      {natsconn.ServerOptions{NoJetStream: true, Name: "a b"}, "spaces"},
		"directory without js": {natsconn.ServerOptions{NoJetStream: true, StoreDir: held}, "leave it empty"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := natsconn.Embed(c.o)
			if err == nil {
				s.Shutdown()
			}
			if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want invalid_argument with %q", err, c.want)
			}
		})
	}
}

func TestStoreIsFreeAfterAFailedStart(t *testing.T) {
	taken := embed(t, natsconn.ServerOptions{NoJetStream: true, Listen: "127.0.0.1:0"})
	dir := t.TempDir()
	if _, err := natsconn.Embed(natsconn.ServerOptions{StoreDir: dir, Listen: strings.TrimPrefix(taken.URL(), "nats://")}); err == nil {
		t.Fatal("started on a port in use")
	}
	embed(t, natsconn.ServerOptions{StoreDir: dir})
}

func TestCredentials(t *testing.T) {
	s := embed(t, natsconn.ServerOptions{NoJetStream: true, Listen: "127.0.0.1:0", Token: "s3cret"})
	connect(t, s.Dial, natsconn.Options{})
	connect(t, natsconn.Dial, natsconn.Options{URL: s.URL(), Token: "s3cret"})
	connect(t, natsconn.Dial, natsconn.Options{URL: strings.Replace(s.URL(), "//", "//s3cret@", 1)})
	for name, o := range map[string]natsconn.Options{
		"none":         {URL: s.URL()},
		"wrong token":  {URL: s.URL(), Token: "wr0ng"},
		"wrong in url": {URL: strings.Replace(s.URL(), "//", "//wr0ng@", 1)},
		"wrong user":   {URL: s.URL(), User: "u", Password: "wr0ng"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := natsconn.Dial(within(t), o)
			if !fault.Is(err, fault.Unauthorized) || strings.Contains(err.Error(), "wr0ng") || !strings.Contains(err.Error(), s.URL()) {
				t.Fatalf("got %v, want unauthorized with the URL and without the secret", err)
			}
		})
	}
}

// freeAddress is a loopback address that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestDialRefuses(t *testing.T) {
	gone := freeAddress(t)
	for name, c := range map[string]struct {
		o    natsconn.Options
		code fault.Code
		want string
	}{
		"nobody there":        {natsconn.Options{URL: "nats://user:pa55@" + gone}, fault.Unreachable, gone},
		"bare token":          {natsconn.Options{URL: "nats://pa55@" + gone}, fault.Unreachable, gone},
		"two servers":         {natsconn.Options{URL: gone + ", nats://a:pa55@" + gone}, fault.Unreachable, gone + ",nats://" + gone},
		"not a url":           {natsconn.Options{URL: "nats://user:pa55/%zz@host"}, fault.InvalidArgument, "server 1 of 1"},
		"no host":             {natsconn.Options{URL: "nats://u:pa55@"}, fault.InvalidArgument, "server 1 of 1"},
		"other scheme":        {natsconn.Options{URL: "http://u:pa55@h"}, fault.InvalidArgument, "scheme"},
		"no creds file":       {natsconn.Options{URL: gone, CredsFile: "/nonexistent/pa.creds"}, fault.InvalidArgument, "credentials"},
		"two kinds":           {natsconn.Options{URL: gone, User: "u", Password: "pa55", Token: "pa55"}, fault.InvalidArgument, "more than one"},
		"password alone":      {natsconn.Options{URL: gone, Password: "pa55"}, fault.InvalidArgument, "give both"},
		"inbox with wildcard": {natsconn.Options{URL: gone, InboxPrefix: "a.>"}, fault.InvalidArgument, "prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := natsconn.Dial(within(t), c.o)
			if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "pa55") {
				t.Fatalf("got %v, want %s with %q and without the password", err, c.code, c.want)
			}
		})
	}
}

// mute accepts connections and never says anything.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestDialObeysItsContext(t *testing.T) {
	o := natsconn.Options{URL: mute(t), Timeout: time.Hour}
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := natsconn.Dial(ctx, o); !fault.Is(err, fault.Cancelled) {
			t.Fatalf("got %v, want cancelled", err)
		}
	})
	t.Run("cancelled while a server is silent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := natsconn.Dial(ctx, o); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want the context's end", err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := natsconn.Dial(ctx, o); !fault.Is(err, fault.Unreachable) {
			t.Fatalf("got %v, want unreachable", err)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		_, err := natsconn.Dial(within(t), natsconn.Options{URL: o.URL, Timeout: 50 * time.Millisecond})
		if !fault.Is(err, fault.Unreachable) {
			t.Fatalf("got %v, want unreachable", err)
		}
	})
}

func TestReconnects(t *testing.T) {
	s := embed(t, natsconn.ServerOptions{NoJetStream: true, Listen: "127.0.0.1:0"})
	a := connect(t, natsconn.Dial, natsconn.Options{URL: s.URL()})
	b := connect(t, natsconn.Dial, natsconn.Options{URL: s.URL()})
	var back []chan nats.Status
	for _, c := range []*nats.Conn{a, b} {
		ch := c.StatusChanged(nats.CONNECTED)
		t.Cleanup(func() { c.RemoveStatusListener(ch) })
		back = append(back, ch)
	}
	s.Shutdown()
	embed(t, natsconn.ServerOptions{NoJetStream: true, Listen: strings.TrimPrefix(s.URL(), "nats://")})
	ctx := within(t)
	for _, ch := range back {
		select {
		case <-ch:
		case <-ctx.Done():
			t.Fatal("connection not restored")
		}
	}
	echo(t, a, b)
}
