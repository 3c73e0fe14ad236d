//go:build compose

package composetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
)

const executors = 3

// TestCompose is the life of a cluster: it is used, harmed in every way that its owner is likely to see, ended and started
// again. Nothing that was acknowledged may be missing afterwards.
func TestCompose(t *testing.T) {
	s := newStack(t)
	s.up(executors)
	nkey := filepath.Join(t.TempDir(), "nkey")
	if err := os.WriteFile(nkey, []byte(s.credential("nkey")), 0o600); err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(s.credential("http.token"))
	ctx := context.Background()
	connect := func() *client.Client {
		c, err := client.Connect(ctx, strings.Join(s.nats, ","), client.Options{NKeyFile: nkey})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := connect()
	defer func() { _ = c.Close() }()
	for name, symbol := range map[string]string{"count": "Count", "double": "Double"} {
		if _, err := c.Register(ctx, name, client.GoPackage("tally", symbol)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := client.Call[int](ctx, c, "double", 21); err != nil || n != 42 {
		t.Fatalf("double(21) = %d, %v", n, err)
	}

	t.Run("http", func(t *testing.T) {
		for _, ask := range []struct {
			method, path, token, body string
			code                      int
			want                      string
		}{
			{"PUT", "/v1/kv/greeting", token, `"hello"`, 200, ""},
			{"GET", "/v1/kv/greeting", token, "", 200, "hello"},
			{"GET", "/v1/kv/greeting", "", "", 401, ""},
			{"GET", "/v1/kv/greeting", "wrong", "", 401, ""},
			{"POST", "/v1/functions/double/calls", token, `{"args":[4]}`, 200, "8"},
		} {
			code, body, err := s.ask(ask.method, s.http+ask.path, ask.token, ask.body)
			if err != nil || code/100 != ask.code/100 || ask.code/100 == 4 && code != ask.code || !strings.Contains(body, ask.want) {
				t.Errorf("%s %s: %d %s %v, want %d %s", ask.method, ask.path, code, body, err, ask.code, ask.want)
			}
		}
	})
	t.Run("prometheus", func(t *testing.T) {
		s.eventually(time.Minute, func() error {
			if up := s.metric("count(up == 1)"); up != fmt.Sprint(3+2+1+executors) {
				return fmt.Errorf("%q of the targets are up", up)
			}
			return nil
		})
	})

	t.Run("port taken", func(t *testing.T) { portTaken(t, s) })
	t.Run("examples", func(t *testing.T) { examples(t, c) })
	t.Run("standard load", func(t *testing.T) { standardLoad(t, s) })

	l := startLoad(c)
	quiet := func() { <-time.After(3 * time.Second) } // the load goes on
	for _, harm := range []struct {
		name string
		do   func()
	}{
		{"kill an executor", func() {
			id := s.containers("executor")[0]
			s.docker("kill", "-s", "KILL", id)
			quiet()
			s.docker("start", id)
		}},
		{"kill the coordinator that serves", func() {
			id := s.containers(s.serving())[0]
			s.docker("kill", "-s", "KILL", id)
			quiet()
			s.docker("start", id)
		}},
		{"kill a leader of JetStream", func() {
			id := s.containers(s.leader(nkey))[0]
			s.docker("kill", "-s", "KILL", id)
			quiet()
			quiet()
			s.docker("start", id)
		}},
		{"cut an executor off, and let it back", func() {
			id := s.containers("executor")[1]
			s.docker("network", "disconnect", s.project+"_squall", id)
			quiet()
			quiet()
			s.docker("network", "connect", "--alias", "executor", s.project+"_squall", id)
		}},
		{"roll all executors", func() {
			for _, id := range s.containers("executor") {
				s.docker("restart", "-t", "45", id)
				s.ready(executors)
			}
		}},
		{"roll the coordinators", func() {
			for _, service := range []string{"coordinator-1", "coordinator-2"} {
				s.docker("restart", "-t", "20", s.containers(service)[0])
				quiet()
			}
		}},
	} {
		before, began := l.runs.Load(), time.Now()
		t.Logf("%v after the load: %s", began.Sub(l.began).Round(time.Millisecond), harm.name)
		harm.do()
		s.ready(executors)
		quiet()
		t.Logf("%-40s %5.1f s, %d durable runs meanwhile", harm.name, time.Since(began).Seconds(), l.runs.Load()-before)
	}
	l.end()
	l.judge(t)

	t.Run("scale", func(t *testing.T) { s.up(8) })
	t.Run("survives", func(t *testing.T) {
		_ = c.Close()
		s.down()
		s.up(executors)
		c = connect()
		l.c = c
		l.judge(t)
		if n, err := client.Call[int](ctx, c, "double", 21); err != nil || n != 42 {
			t.Fatalf("double(21) = %d, %v", n, err)
		}
	})
}
