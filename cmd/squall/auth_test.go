package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/internal/natsconn"
)

// secured starts a NATS server that knows the credentials in dir.
func secured(t *testing.T) (url, dir string) {
	dir = filepath.Join(t.TempDir(), "auth")
	if made, err := drawCredentials(dir, nil); err != nil || !made {
		t.Fatal(made, err)
	}
	config := filepath.Join(filepath.Dir(dir), "nats.conf")
	text := fmt.Sprintf("listen: 127.0.0.1:-1\njetstream { store_dir: %q, sync_interval: always }\ninclude auth/nats/accounts.conf\n", filepath.Join(filepath.Dir(dir), "js"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := natsconn.ReadConfig(config); err != nil || len(all) != 1 || !all[0].Secured {
		t.Fatalf("%+v, %v", all, err)
	}
	s, err := natsconn.Embed(natsconn.ServerOptions{ConfigFile: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	if s.Durability() != natsconn.Durable {
		t.Fatalf("the file says %v", s.Durability())
	}
	return s.URL(), dir
}

// TestCredentials runs each role with its own credentials, everything through them, and nothing without.
func TestCredentials(t *testing.T) {
	sh := isolate(t)
	url, dir := secured(t)
	if made, err := drawCredentials(dir, nil); err != nil || made {
		t.Fatal("drawn anew", err)
	}
	for _, name := range []string{"coordinator/nkey", "executor/nkey", "gateway/nkey", "client/nkey", "client/http.token", "prometheus/metrics.token"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&0o077 != fs.FileMode(0) {
			t.Fatalf("%s: %v, %v", name, info, err)
		}
	}
	sh.url = url
	sh.fails(1, "unauthorized", "status")
	t.Setenv("SQUALL_NKEY", filepath.Join(dir, "nowhere.nk"))
	sh.fails(2, "nowhere.nk", "status")

	as := func(name string, args ...string) *role {
		t.Setenv("SQUALL_NKEY", filepath.Join(dir, name, "nkey"))
		return start(t, append([]string{"-s", url}, args...)...)
	}
	co := as("coordinator", "coordinator", "--name", "c1")
	defer co.end()
	ex := as("executor", "executor", "--name", "e1", "--wasm-cache", filepath.Join(sh.dir, "wasm"))
	defer ex.end()
	t.Setenv("SQUALL_NKEY", filepath.Join(dir, "client", "nkey"))
	sh.ok("kv", "put", "k", `{"x":1}`)
	sh.want("{\"x\":1}\n", "kv", "get", "k")
	sh.ok("kv", "update", "n", "add", "2")
	if x := sh.json("status"); x["answer_ns"] == 0.0 {
		t.Fatalf("%v", x)
	}

	// A client cannot speak as a node, and neither it nor an executor can harm the store.
	refusedSubjects(t, url, filepath.Join(dir, "client", "nkey"), "squall.default.hb.e9", "squall.default.fence.e1", "squall.default.node.e1")
	for _, name := range []string{"client", "executor", "gateway"} {
		refusedSubjects(t, url, filepath.Join(dir, name, "nkey"), "squall.default.fence.e1",
			"$JS.API.STREAM.CREATE.EVIL", "$JS.API.STREAM.UPDATE.SQUALL_KV_0", "$JS.API.STREAM.DELETE.SQUALL_KV_0", "$JS.API.STREAM.PURGE.SQUALL_KV_0",
			"$JS.API.STREAM.MSG.DELETE.SQUALL_KV_0", "$JS.API.STREAM.RESTORE.EVIL", "$JS.API.STREAM.SNAPSHOT.SQUALL_KV_0",
			"$JS.API.STREAM.PEER.REMOVE.SQUALL_KV_0", "$JS.API.STREAM.LEADER.STEPDOWN.SQUALL_KV_0", "$JS.API.CONSUMER.LEADER.STEPDOWN.SQUALL_KV_0.c",
			"$JS.API.META.LEADER.STEPDOWN", "$JS.API.ACCOUNT.PURGE.SQUALL")
	}
}

// refusedSubjects holds that who has a key may not publish on subjects.
func refusedSubjects(t *testing.T, url, nkey string, subjects ...string) {
	t.Helper()
	conn, err := natsconn.Dial(t.Context(), natsconn.Options{URL: url, NKeyFile: nkey})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	refused := make(chan error, 16)
	conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
	for _, subject := range subjects {
		if err := conn.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !strings.Contains(err.Error(), subject) {
				t.Fatalf("%s: %v", subject, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s let %s through", nkey, subject)
		}
	}
}

// TestShippedConfig reads the configuration that Compose gives its NATS servers, with the credentials that 'auth init' draws:
// whatever it has listen beyond the loopback asks for them.
func TestShippedConfig(t *testing.T) {
	dir := t.TempDir()
	if _, err := drawCredentials(filepath.Join(dir, "drawn"), []string{"nats-1:6222", "nats-2:6222", "nats-3:6222"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../deploy/compose/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "nats.conf")
	if err := errors.Join(os.WriteFile(config, text, 0o600), os.Rename(filepath.Join(dir, "drawn", "nats"), filepath.Join(dir, "auth"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SQUALL_NAME", "nats-1")
	all, err := natsconn.ReadConfig(config)
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, l := range all {
		if _, err := (listening{}).address(l.What, l.Addr, l.By, l.Secured); err != nil {
			t.Error(err)
		}
	}
}

func TestAuthShow(t *testing.T) {
	sh := isolate(t)
	dir := filepath.Join(sh.dir, "auth")
	sh.fails(1, "squall auth init", "auth", "show", dir+"/client/http.token")
	sh.ok("auth", "init", dir, "--route", "a:6222", "--route", "b:6222")
	first := sh.ok("auth", "show", dir+"/client/http.token")
	sh.ok("auth", "init", dir)
	if again := sh.ok("auth", "show", dir+"/client/http.token"); again != first || len(first) != 33 {
		t.Fatalf("%q, then %q", first, again)
	}
	cluster := sh.ok("auth", "show", dir+"/nats/cluster.conf")
	if strings.Count(cluster, "nats-route://route:") != 2 {
		t.Fatal(cluster)
	}
	sh.fails(2, "host:port", "auth", "init", filepath.Join(sh.dir, "other"), "--route", "nonsense")
}

// TestEnvironmentOfRoles: each flag of a role may stand in the environment, and secrets in files.
func TestEnvironmentOfRoles(t *testing.T) {
	sh := isolate(t)
	t.Setenv("SQUALL_SLOTS", "many")
	sh.fails(2, "SQUALL_SLOTS", "executor")
	t.Setenv("SQUALL_SLOTS", "")
	t.Setenv("SQUALL_LISTEN", "0.0.0.0:0")
	sh.fails(2, "0.0.0.0", "nats")
	t.Setenv("SQUALL_LISTEN", "127.0.0.1:0")
	t.Setenv("SQUALL_DURABILITY", "memory")
	token := filepath.Join(sh.dir, "token")
	t.Setenv("SQUALL_TOKEN_FILE", token)
	sh.fails(2, "SQUALL_TOKEN_FILE", "nats")
	if err := os.WriteFile(token, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, "nats")
	defer r.end()
	if r.up["durability"] != "memory" {
		t.Fatalf("%v", r.up)
	}
	t.Setenv("SQUALL_SERVER", r.up["nats"].(string))
	sh.fails(4, "no coordinator", "status") // let in
	t.Setenv("SQUALL_TOKEN", "xyz")
	sh.fails(2, "leave one out", "status")
	t.Setenv("SQUALL_TOKEN_FILE", "")
	sh.fails(1, "unauthorized", "status")
}
