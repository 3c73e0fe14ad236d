package natsconn

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/squall-faas/squall/fault"
)

// Accounts are the users of a cluster, as NATS servers know them.
type Accounts struct {
	Seeds   map[string][]byte // of the nkey of each of Roles; secret
	Config  []byte            // what servers' configuration includes, with public keys only
	Cluster []byte            // what it includes where servers form a cluster: their routes and a password; secret, nil without routes
}

// Roles that have a user each.
func Roles() []string { return []string{"coordinator", "executor", "gateway", "client"} }

// permissions are the subjects of a role, in nats-server's words. Executors and clients may publish Squall's subjects and, of
// JetStream, what a store asks for, which is named here: where a stream stands, its messages, and consumers to follow it. So
// they cannot make, change, remove, copy, move or purge a stream, nor delete a message of one; what is replaced or outlived
// the coordinators sweep. Nor does a client raise the fence of an executor.
//
// That is against mistakes, not against who means harm. State is everybody's: who may write it may overwrite each key of each
// namespace, for all namespaces of the servers share the roles; streams that an earlier version made also allow it to empty them
// by a Nats-Rollup header. A client may not publish on nodes' subjects, but the server answers, and consumers deliver, on
// whatever subject a request names, and it checks no permissions there.
func permissions(role string) string {
	const (
		store = `"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.CREATE.>",
            "$JS.API.CONSUMER.INFO.>", "$JS.API.CONSUMER.DELETE.>", "$JS.API.CONSUMER.MSG.NEXT.>"`
		state  = `"squall.*.kv.>", "squall.*.kvc.>", "squall.*.sys.>", "squall.*.sysc.>"`
		fences = `"squall.*.kvc.*.fence.>", "squall.*.sysc.*.fence.>"` // of the store, see kvs/jetkv
	)
	switch role {
	case "coordinator":
		return `
        publish: { allow: ["squall.>", "$JS.>", "_INBOX.>"] }
        subscribe: { allow: ["squall.>", "_INBOX.>"] }`
	case "executor":
		return `
        publish: {
          allow: ["squall.>", "_INBOX.>", ` + store + `]
          deny: ["squall.*.fence.>"]
        }
        subscribe: { allow: ["squall.>", "_INBOX.>"] }`
	}
	return `
        publish: {
          allow: ["squall.*.call.*", "squall.*.run.*", "squall.*.admin.*", "squall.*.wholends", ` + state + `, ` + store + `]
          deny: [` + fences + `]
        }
        subscribe: { allow: ["squall.*.reply.>", "squall.*.upd.>", "squall.*.lend.*", "_INBOX.>"] }`
}

// NewAccounts draws a key for each role. routes are the servers' host:port for each other; none is a single server.
func NewAccounts(routes []string) (*Accounts, error) {
	a := &Accounts{Seeds: map[string][]byte{}}
	var b strings.Builder
	b.WriteString("# Made by 'squall auth init'. It holds public keys only.\naccounts {\n  SQUALL {\n    jetstream: enabled\n    users: [\n")
	for _, role := range Roles() {
		public, seed, err := newUser()
		if err != nil {
			return nil, err
		}
		a.Seeds[role] = seed
		fmt.Fprintf(&b, "      { nkey: %s # %s\n      permissions: {%s\n      } }\n", public, role, permissions(role))
	}
	b.WriteString("    ]\n  }\n  SYS { users: [] }\n}\nsystem_account: SYS\n")
	a.Config = []byte(b.String())
	if len(routes) == 0 {
		return a, nil
	}
	var err error
	a.Cluster, err = clusterConfig(routes)
	return a, err
}

func newUser() (public string, seed []byte, err error) {
	pair, err := nkeys.CreateUser()
	if err == nil {
		public, err = pair.PublicKey()
	}
	if err == nil {
		seed, err = pair.Seed()
	}
	if err != nil {
		return "", nil, fault.New(fault.Internal, "draw a key: %w", err)
	}
	return public, append(slices.Clone(seed), '\n'), nil
}

// clusterConfig has servers at routes form a cluster, with a password among them.
func clusterConfig(routes []string) ([]byte, error) {
	var b strings.Builder
	password := NewSecret()
	fmt.Fprintf(&b, "# Made by 'squall auth init'. Keep it secret.\ncluster {\n  name: squall\n  listen: 0.0.0.0:6222\n  authorization { user: route, password: %q }\n  routes: [\n", password)
	for _, route := range routes {
		if _, port, err := net.SplitHostPort(route); err != nil || port == "" || strings.ContainsAny(route, "\"\\ \n") {
			return nil, fault.New(fault.InvalidArgument, "route %q: write host:port", route)
		}
		fmt.Fprintf(&b, "    \"nats-route://route:%s@%s\"\n", password, route)
	}
	b.WriteString("  ]\n}\n")
	return []byte(b.String()), nil
}

// NewSecret draws 128 random bits, in hexadecimal digits.
func NewSecret() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
