package client

import (
	"context"
	"log/slog"
	"sync"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// Client talks to one namespace of a cluster. Safe for concurrent use; make one and share it.
type Client struct {
	backbone *backbone.Backbone
	offload  *offload.Offload
	caller   *caller.Caller
	writer   *version.Writer
	natives  Natives
	owns     bool

	objectsMu sync.Mutex // guards objects
	objects   *Objects   // nil until they are asked for
}

// Natives takes the native functions of a process that embeds an executor.
type Natives interface {
	Add(name string, impl fn.Impl) (runtime.Spec, error)
}

// Options of Connect. The zero value connects to namespace "default" without credentials.
type Options struct {
	Namespace      string       // "" is "default"
	CredsFile      string       // path of a NATS .creds file
	NKeyFile       string       // or of a file with an nkey's seed
	User, Password string       // or a user
	Token          string       // or a token
	Logger         *slog.Logger // hears of lost and restored connections; nil discards
}

// Connect connects to the cluster behind a NATS server, nats://host:4222, or several, separated by commas; "" is the
// local one. It returns once the store is open too; unreachable where no server answers, unauthorized where one
// refuses the credentials. A lost connection is restored in the background until Close.
func Connect(ctx context.Context, url string, opts ...Options) (*Client, error) {
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	b, err := backbone.Dial(ctx, backbone.Options{
		Namespace: o.Namespace, Logger: o.Logger,
		Conn: natsconn.Options{URL: url, Name: "squall-client", CredsFile: o.CredsFile, NKeyFile: o.NKeyFile, User: o.User, Password: o.Password, Token: o.Token},
	})
	if err != nil {
		return nil, err
	}
	c, err := Over(b, nil, o.Logger)
	if err != nil {
		_ = b.Close() // the error that matters is the first
		return nil, err
	}
	c.owns = true
	return c, nil
}

// Over makes a Client of parts; programs use Connect, squall.Open or squall.Join. natives may be nil.
func Over(b *backbone.Backbone, natives Natives, log *slog.Logger) (*Client, error) {
	off, err := offload.New(offload.Config{Store: b.System, MaxPayload: b.Bus.MaxPayload()})
	if err != nil {
		return nil, err
	}
	call, err := caller.New(caller.Config{Bus: b.Bus, Offload: off, Namespace: b.Namespace, Logger: log})
	if err != nil {
		return nil, err
	}
	w, err := version.NewWriter(version.WriterConfig{Store: b.User})
	if err != nil {
		call.Close()
		return nil, err
	}
	return &Client{backbone: b, offload: off, caller: call, writer: w, natives: natives}, nil
}

// Close ends open calls and writes that wait with cancelled, and the connection where Connect made it. Runs go on. Idempotent.
func (c *Client) Close() error {
	c.caller.Close()
	c.writer.Close()
	c.objectsMu.Lock()
	if c.objects != nil {
		_ = c.objects.tier.Close() // what it could say changes nothing
	}
	c.objectsMu.Unlock()
	if c.owns {
		return c.backbone.Close()
	}
	return nil
}

// Namespace is where the client's functions, DAGs and keys are.
func (c *Client) Namespace() string { return c.backbone.Namespace }

// RegisterDAG registers a DAG, or a new version of one; running calls keep theirs. It returns the version. The
// functions must be registered before; unknown_function, wrong_arity and wrong_type name the node.
func (c *Client) RegisterDAG(ctx context.Context, g *dag.Graph) (version string, err error) {
	if g == nil {
		return "", fault.New(fault.InvalidDAG, "no DAG given: Build returned an error")
	}
	if err := g.Validate(); err != nil {
		return "", err
	}
	a, err := c.caller.Admin(ctx, wire.OpPutDAG, &wire.Admin{Graph: dag.Encode(g)})
	if err != nil {
		return "", err
	}
	return a.Version, nil
}

// DAG reads a registered DAG and its version; unknown_dag where there is none.
func (c *Client) DAG(ctx context.Context, name string) (*dag.Graph, string, error) {
	a, err := c.caller.Admin(ctx, wire.OpGetDAG, &wire.Admin{Name: name})
	if err != nil {
		return nil, "", err
	}
	g, err := dag.Decode(a.Graph)
	return g, a.Version, err
}

// DAGs lists what is registered, by name.
func (c *Client) DAGs(ctx context.Context) ([]wire.GraphInfo, error) {
	a, err := c.caller.Admin(ctx, wire.OpListDAGs, &wire.Admin{})
	if err != nil {
		return nil, err
	}
	return a.Graphs, nil
}

// RemoveDAG forgets a DAG; its open runs go on.
func (c *Client) RemoveDAG(ctx context.Context, name string) error {
	_, err := c.caller.Admin(ctx, wire.OpRemoveDAG, &wire.Admin{Name: name})
	return err
}

// Functions lists the current versions of what is registered, by name.
func (c *Client) Functions(ctx context.Context) ([]runtime.Spec, error) {
	a, err := c.caller.Admin(ctx, wire.OpListFunctions, &wire.Admin{})
	if err != nil {
		return nil, err
	}
	return a.Functions, nil
}

// RemoveFunction forgets a function; open runs that use it go on.
func (c *Client) RemoveFunction(ctx context.Context, name string) error {
	_, err := c.caller.Admin(ctx, wire.OpRemoveFunction, &wire.Admin{Name: name})
	return err
}

// Members lists the executors that a coordinator knows.
func (c *Client) Members(ctx context.Context) ([]wire.Member, error) {
	a, err := c.caller.Admin(ctx, wire.OpMembers, &wire.Admin{})
	if err != nil {
		return nil, err
	}
	return a.Members, nil
}

// Profiles gives what executors have learnt of a DAG's functions and of the links between them, and the functions' current
// versions, by node.
func (c *Client) Profiles(ctx context.Context, dag string) (*profile.Book, []runtime.Spec, error) {
	a, err := c.caller.Admin(ctx, wire.OpProfiles, &wire.Admin{Name: dag})
	if err != nil {
		return nil, nil, err
	}
	book, err := profile.Decode(a.Profiles)
	return book, a.Functions, err
}

// Runs lists open runs and the latest that have ended, at most limit; 0 is 100.
func (c *Client) Runs(ctx context.Context, limit int) ([]wire.RunInfo, error) {
	a, err := c.caller.Admin(ctx, wire.OpRuns, &wire.Admin{Limit: limit})
	if err != nil {
		return nil, err
	}
	return a.Runs, nil
}

// Store is the namespace's key-value store, for what Put, Get and Delete do not offer: listing and watching. What it gives
// are entries as they lie there: version.Shown makes of one what Get gives. It is closed with the client.
func (c *Client) Store() kvs.Store { return c.backbone.User }
