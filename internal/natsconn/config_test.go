package natsconn_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
)

// TestReadConfig: each listener of a file, and whether it asks who comes. What is open ends with an exclamation mark.
func TestReadConfig(t *testing.T) {
	const users = "authorization { user: a, password: b }\n"
	const nkey = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                   {"", "NATS 0.0.0.0:4222!"},
		"a host":                    {"host: 127.0.0.1", "NATS 127.0.0.1:4222!"},
		"a token":                   {"authorization { token: x }", "NATS 0.0.0.0:4222"},
		"users":                     {users, "NATS 0.0.0.0:4222"},
		"no users":                  {"accounts { A { users: [] } }", "NATS 0.0.0.0:4222!"},
		"an account":                {"accounts { A { users: [{ nkey: " + nkey + " }] } }", "NATS 0.0.0.0:4222"},
		"the system's alone":        {"accounts { S { users: [{ user: a, password: b }] } }\nsystem_account: S", "NATS 0.0.0.0:4222!"},
		"the system's and one":      {"accounts { S { users: [] }, A { users: [{ user: a, password: b }] } }\nsystem_account: S", "NATS 0.0.0.0:4222"},
		"a user for nobody":         {"accounts { A { users: [{ user: a, password: b }] } }\nno_auth_user: a", "NATS 0.0.0.0:4222!"},
		"monitoring where NATS is":  {"listen: 127.0.0.1:1\nhttp: 8222", "NATS 127.0.0.1:1!, its monitoring 127.0.0.1:8222!"},
		"monitoring everywhere":     {users + "http: 8222", "NATS 0.0.0.0:4222, its monitoring 0.0.0.0:8222!"},
		"monitoring, any port":      {users + "http: \"0.0.0.0:-1\"", "NATS 0.0.0.0:4222, its monitoring 0.0.0.0:-1!"},
		"monitoring elsewhere":      {users + "http: 127.0.0.1:8222", "NATS 0.0.0.0:4222, its monitoring 127.0.0.1:8222!"},
		"profiles":                  {users + "prof_port: 6060", "NATS 0.0.0.0:4222, its profiles 0.0.0.0:6060!"},
		"a cluster":                 {users + "cluster { name: x, port: 6222 }", "NATS 0.0.0.0:4222, its cluster 0.0.0.0:6222!"},
		"a cluster's password":      {"cluster { name: x, port: 6222, authorization { user: a, password: b } }", "NATS 0.0.0.0:4222!, its cluster 0.0.0.0:6222"},
		"a gateway":                 {users + "gateway { name: x, port: 7222 }", "NATS 0.0.0.0:4222, its gateway 0.0.0.0:7222!"},
		"a gateway's password":      {users + "gateway { name: x, port: 7222, authorization { user: a, password: b } }", "NATS 0.0.0.0:4222, its gateway 0.0.0.0:7222"},
		"leaf nodes":                {"leafnodes { port: 7422 }", "NATS 0.0.0.0:4222!, its leaf nodes 0.0.0.0:7422!"},
		"leaf nodes as clients":     {users + "leafnodes { port: 7422 }", "NATS 0.0.0.0:4222, its leaf nodes 0.0.0.0:7422"},
		"leaf nodes' password":      {"leafnodes { port: 7422, authorization { user: a, password: b } }", "NATS 0.0.0.0:4222!, its leaf nodes 0.0.0.0:7422"},
		"leaf nodes' key":           {"leafnodes { port: 7422, authorization { nkey: " + nkey + " } }", "NATS 0.0.0.0:4222!, its leaf nodes 0.0.0.0:7422"},
		"websockets":                {"websocket { port: 80, no_tls: true }", "NATS 0.0.0.0:4222!, its websockets 0.0.0.0:80!"},
		"websockets as clients":     {users + "websocket { port: 80, no_tls: true }", "NATS 0.0.0.0:4222, its websockets 0.0.0.0:80"},
		"websockets for nobody":     {users + "websocket { port: 80, no_tls: true, no_auth_user: a }", "NATS 0.0.0.0:4222, its websockets 0.0.0.0:80!"},
		"MQTT":                      {"server_name: x\nmqtt { port: 1883 }", "NATS 0.0.0.0:4222!, its MQTT 0.0.0.0:1883!"},
		"MQTT's token":              {"server_name: x\nmqtt { port: 1883, authorization { token: x } }", "NATS 0.0.0.0:4222!, its MQTT 0.0.0.0:1883"},
		"MQTT for nobody":           {users + "server_name: x\nmqtt { port: 1883, no_auth_user: a }", "NATS 0.0.0.0:4222, its MQTT 0.0.0.0:1883!"},
		"several, on one interface": {"listen: 10.0.0.1:1\ncluster { name: x, listen: 10.0.0.1:2 }\nhttp: 3", "NATS 10.0.0.1:1!, its monitoring 10.0.0.1:3!, its cluster 10.0.0.1:2!"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := natsconn.ReadConfig(configFile(t, c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range all {
				open := "!"
				if l.Secured {
					open = ""
				}
				if l.By == "" {
					t.Errorf("%s: nothing would secure it", l.What)
				}
				got = append(got, l.What+" "+l.Addr+open)
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
	for name, text := range map[string]string{"no such field": "listne: 1", "no such file": "include nowhere.conf"} {
		if _, err := natsconn.ReadConfig(configFile(t, text)); !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), "nats.conf") && !strings.Contains(err.Error(), "nowhere.conf") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadConfigCertificates: a certificate secures a listener where its authority is named, and where nobody goes round it.
func TestReadConfigCertificates(t *testing.T) {
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mine := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, mine, mine, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own := fmt.Sprintf("cert_file: %q, key_file: %q", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	theirs := own + fmt.Sprintf(", verify: true, ca_file: %q", filepath.Join(dir, "cert.pem"))
	for name, c := range map[string]struct {
		text    string
		secured []bool
	}{
		"the server's alone":     {"tls { " + own + " }", []bool{false}},
		"of any authority":       {"tls { " + own + ", verify: true }", []bool{false}},
		"of one":                 {"tls { " + theirs + " }", []bool{true}},
		"of one, or without TLS": {"tls { " + theirs + " }\nallow_non_tls: true", []bool{false}},
		"monitoring asks not":    {"tls { " + theirs + " }\nhttps: 8443", []bool{true, false}},
		"a cluster's":            {"cluster { name: x, port: 6222, tls { " + theirs + " } }", []bool{false, true}},
		"a cluster's, of any":    {"cluster { name: x, port: 6222, tls { " + own + " } }", []bool{false, false}},
		"websockets'":            {"websocket { port: 80, tls { " + theirs + " } }", []bool{false, true}},
	} {
		all, err := natsconn.ReadConfig(configFile(t, c.text))
		var got []bool
		for _, l := range all {
			got = append(got, l.Secured)
		}
		if err != nil || !slices.Equal(got, c.secured) {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
