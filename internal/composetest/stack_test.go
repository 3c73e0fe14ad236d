//go:build compose

package composetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/internal/natsconn"
)

// stack is a running docker-compose.yml, under a project name and on ports of its own.
type stack struct {
	t       *testing.T
	root    string // of the repository
	compose []string
	project string
	env     []string
	nats    []string
	http    string
	prom    string
	image   string
}

// newStack sees to the images; up starts it.
func newStack(t *testing.T) *stack {
	s := &stack{t: t, project: fmt.Sprintf("squalltest%06d", rand.N(1_000_000)), image: "squall-compose-test"}
	var err error
	if s.root, err = filepath.Abs("../.."); err != nil {
		t.Fatal(err)
	}
	s.compose = []string{"docker", "compose"}
	if exec.Command("docker", "compose", "version").Run() != nil {
		s.compose = []string{"docker-compose"}
	}
	ports := freePorts(t, 5)
	s.env = append(os.Environ(), "SQUALL_IMAGE="+s.image,
		"SQUALL_NATS_PORT="+ports[0], "SQUALL_NATS_PORT_2="+ports[1], "SQUALL_NATS_PORT_3="+ports[2],
		"SQUALL_HTTP_PORT="+ports[3], "PROMETHEUS_PORT="+ports[4])
	for _, p := range ports[:3] {
		s.nats = append(s.nats, "nats://127.0.0.1:"+p)
	}
	s.http, s.prom = "http://127.0.0.1:"+ports[3], "http://127.0.0.1:"+ports[4]
	s.command(10*time.Minute, "scripts/compose/base-images.sh")
	s.do(25*time.Minute, "build", "auth") // a busy machine takes a quarter of an hour
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := s.try(time.Minute, append(s.compose, "-p", s.project, "logs", "--no-color", "--tail", "40")...) // for a look at it
			t.Log(out)
		}
		s.do(3*time.Minute, "down", "-v", "-t", "5")
	})
	return s
}

func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// try runs a command in the repository.
func (s *stack) try(limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = s.root, s.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

func (s *stack) command(limit time.Duration, args ...string) string {
	s.t.Helper()
	out, err := s.try(limit, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// do has docker compose do something.
func (s *stack) do(limit time.Duration, args ...string) string {
	s.t.Helper()
	return s.command(limit, append(append(s.compose[:len(s.compose):len(s.compose)], "-p", s.project), args...)...)
}

func (s *stack) docker(args ...string) string {
	s.t.Helper()
	return s.command(2*time.Minute, append([]string{"docker"}, args...)...)
}

// up starts the stack with so many executors and returns when the gateway says that all of them take work.
func (s *stack) up(executors int) {
	s.t.Helper()
	began := time.Now()
	s.do(5*time.Minute, "up", "-d", "--no-build", "--scale", fmt.Sprint("executor=", executors))
	s.ready(executors)
	s.t.Logf("%d executors are up after %v", executors, time.Since(began).Round(100*time.Millisecond))
}

func (s *stack) ready(executors int) {
	s.t.Helper()
	want := fmt.Sprintf("%d of %d take work", executors, executors)
	s.eventually(2*time.Minute, func() error {
		code, body, err := s.get(s.http + "/readyz")
		if err == nil && (code != 200 || !strings.Contains(body, want)) {
			err = fmt.Errorf("/readyz: %d %s", code, body)
		}
		return err
	})
}

// eventually has f succeed within limit.
func (s *stack) eventually(limit time.Duration, f func() error) {
	s.t.Helper()
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	end := time.After(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-t.C:
		case <-end:
			s.t.Fatalf("not within %v: %v", limit, err)
		}
	}
}

// containers are the ids of a service's containers.
func (s *stack) containers(service string) []string {
	s.t.Helper()
	return strings.Fields(s.do(time.Minute, "ps", "-q", service))
}

// credential is a file of the client's volume.
func (s *stack) credential(name string) string {
	s.t.Helper()
	return s.docker("run", "--rm", "-v", s.project+"_auth-client:/auth:ro", s.image, "auth", "show", "/auth/"+name)
}

// down ends the stack and keeps its volumes.
func (s *stack) down() { s.do(3*time.Minute, "down", "-t", "40") }

// serving is the service of the coordinator that serves.
func (s *stack) serving() string {
	s.t.Helper()
	var found string
	s.eventually(time.Minute, func() error {
		for _, service := range []string{"coordinator-1", "coordinator-2"} {
			if s.metric(`squall_coordinator_active{instance="`+service+`:9100"}`) == "1" {
				found = service
				return nil
			}
		}
		return fmt.Errorf("Prometheus knows of no coordinator that serves")
	})
	return found
}

// metric is what Prometheus has as an instant value; "" where it has none.
func (s *stack) metric(query string) string {
	_, body, err := s.get(s.prom + "/api/v1/query?query=" + escape(query))
	if err != nil {
		return ""
	}
	var x struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if json.Unmarshal([]byte(body), &x) != nil || len(x.Data.Result) == 0 {
		return ""
	}
	return fmt.Sprint(x.Data.Result[0].Value[1])
}

// leader is the service of the NATS server that leads the first stream of the store.
func (s *stack) leader(nkey string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := natsconn.Dial(ctx, natsconn.Options{URL: strings.Join(s.nats, ","), NKeyFile: nkey})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := js.Stream(ctx, "SQUALL_KV_0")
	if err != nil {
		s.t.Fatal(err)
	}
	info := stream.CachedInfo()
	if info.Config.Replicas != 3 || info.Cluster == nil || info.Cluster.Leader == "" {
		s.t.Fatalf("the store has %d replicas, and of its cluster is known: %+v", info.Config.Replicas, info.Cluster)
	}
	return info.Cluster.Leader
}
