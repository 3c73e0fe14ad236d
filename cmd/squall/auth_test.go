package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"gopkg.in/yaml.v3"

	"github.com/squall-faas/squall/fault"
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

	// What the store has besides: chunks, the lists of streams, consumers, reads through the leader.
	for _, fill := range []string{"a", "b"} {
		long := sh.file(fill, `"`+strings.Repeat(fill, 700<<10)+`"`)
		sh.ok("kv", "put", "long", "@"+long)
		if got := sh.ok("kv", "get", "long"); !strings.Contains(got, strings.Repeat(fill, 700<<10)) {
			t.Fatalf("%d bytes of a long value", len(got))
		}
	}
	if got := sh.ok("kv", "ls"); !strings.Contains(got, "long") {
		t.Fatal(got)
	}
	sh.ok("kv", "del", "long")
	ex.end()
	defer as("executor", "executor", "--name", "e1", "--wasm-cache", filepath.Join(sh.dir, "wasm")).end() // its fence is another

	// Neither a client nor an executor can speak as a coordinator, or change the store but by writing state.
	everybody := []string{
		"squall.default.fence.e1", "$SYS.REQ.SERVER.PING", "$KV.b.k", "$JS.API.STREAM.CREATE.EVIL", "$JS.API.STREAM.MSG.DELETE.SQUALL_KV_0",
		"$JS.API.STREAM.RESTORE.EVIL", "$JS.SNAPSHOT.RESTORE.EVIL.x", "$JS.API.CONSUMER.LEADER.STEPDOWN.SQUALL_KV_0.c", "$JS.API.CONSUMER.PEER.REMOVE.SQUALL_KV_0.c",
		"$JS.API.CONSUMER.PAUSE.SQUALL_KV_0.c", "$JS.API.CONSUMER.DURABLE.CREATE.SQUALL_KV_0.c", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.META.RESCUE",
		"$JS.API.SERVER.REMOVE", "$JS.API.SERVER.EVACUATE", "$JS.API.ACCOUNT.PURGE.SQUALL", "$JS.API.ACCOUNT.STREAM.MOVE.SQUALL.SQUALL_KV_0",
		"$JS.API.ACCOUNT.STREAM.CANCEL_MOVE.SQUALL.SQUALL_KV_0", "$JS.ACK.SQUALL_KV_0.c.1.1.1.1.0",
	}
	for _, op := range []string{"UPDATE", "DELETE", "PURGE", "SNAPSHOT", "PEER.REMOVE", "PEER.EVACUATE", "LEADER.STEPDOWN", "CANCEL_MOVE"} {
		everybody = append(everybody, "$JS.API.STREAM."+op+".SQUALL_KV_0")
	}
	for _, name := range []string{"client", "executor", "gateway"} {
		subjects := everybody
		if name != "executor" {
			subjects = append([]string{
				"squall.default.hb.e9", "squall.default.node.e1", "squall.default.ping.e1", "squall.default.mail.e1", "squall.default.cache.e1",
				"squall.default.kvc.0.fence.e1-1", "squall.default.sysc.0.fence.e1-1",
			}, everybody...)
		}
		refusedSubjects(t, url, filepath.Join(dir, name, "nkey"), subjects...)
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

// shipped is what Compose runs of the NATS servers, and their credentials.
type shipped struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Volumes     []string
		Healthcheck struct{ Test []string }
	}
}

// TestShippedConfig reads the configuration that Compose gives its NATS servers, with the credentials that its 'auth init'
// draws. Whatever that has a server listen on beyond the loopback asks for credentials, and a server runs with it.
func TestShippedConfig(t *testing.T) {
	var compose shipped
	text, err := os.ReadFile("../../docker-compose.yml")
	if err == nil {
		err = yaml.Unmarshal(text, &compose)
	}
	if err != nil {
		t.Fatal(err)
	}
	sh := isolate(t)
	drawn := filepath.Join(sh.dir, "drawn")
	draw := slices.Clone(compose.Services["auth"].Command) // auth init DIRECTORY --route …
	if len(draw) != 9 || draw[2] != "/auth" {
		t.Fatalf("%q", draw)
	}
	draw[2] = drawn
	sh.ok(draw...)

	// As the volumes have it: the file, and beside it what the servers may know.
	if text, err = os.ReadFile("../../deploy/compose/nats.conf"); err != nil {
		t.Fatal(err)
	}
	config := sh.file("nats.conf", string(text))
	if err := os.Rename(filepath.Join(drawn, "nats"), filepath.Join(sh.dir, "auth")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		x := compose.Services[name]
		if !slices.Equal(x.Command, []string{"nats", "--nats-config", "/etc/squall/nats.conf"}) || !slices.Contains(draw, name+":6222") ||
			!slices.Contains(x.Volumes, "./deploy/compose/nats.conf:/etc/squall/nats.conf:ro") || !slices.Contains(x.Volumes, "auth-nats:/etc/squall/auth:ro") ||
			!slices.Contains(x.Volumes, name+":/data") || x.Environment["SQUALL_NAME"] != name || slices.ContainsFunc(x.Healthcheck.Test, func(s string) bool { return strings.Contains(s, ":8222") }) {
			t.Errorf("%s: %+v", name, x)
		}
	}
	t.Setenv("SQUALL_NAME", "nats-1")
	all, err := natsconn.ReadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range all {
		got = append(got, l.Addr)
		if _, err := (listening{}).address(l.What, l.Addr, l.By, l.Secured); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"0.0.0.0:4222", "127.0.0.1:8222", "0.0.0.0:6222"}; !slices.Equal(got, want) {
		t.Errorf("it listens on %q, not %q", got, want)
	}

	// A server takes it, here with ports and a directory of its own: who has a key is let in, and nobody else.
	own := strings.NewReplacer("0.0.0.0:4222", "127.0.0.1:-1", "127.0.0.1:8222", "127.0.0.1:-1", "store_dir: /data", fmt.Sprintf("store_dir: %q", filepath.Join(sh.dir, "js")))
	sh.file("nats.conf", own.Replace(string(text)))
	cluster, err := os.ReadFile(filepath.Join(sh.dir, "auth", "cluster.conf"))
	if err == nil {
		there := regexp.MustCompile(`@nats-\d:6222`).ReplaceAllString(string(cluster), "@127.0.0.1:1") // where nobody listens
		err = os.WriteFile(filepath.Join(sh.dir, "auth", "cluster.conf"), []byte(strings.Replace(there, "0.0.0.0:6222", "127.0.0.1:-1", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := natsconn.Embed(natsconn.ServerOptions{ConfigFile: config})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if s.Durability() != natsconn.Durable {
		t.Errorf("it is %v", s.Durability())
	}
	for _, r := range natsconn.Roles() {
		c, err := natsconn.Dial(t.Context(), natsconn.Options{URL: s.URL(), NKeyFile: filepath.Join(drawn, r, "nkey")})
		if err != nil {
			t.Fatal(r, err)
		}
		c.Close()
	}
	if _, err := natsconn.Dial(t.Context(), natsconn.Options{URL: s.URL()}); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("nobody: %v", err)
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
