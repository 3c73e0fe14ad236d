package wire

// Subjects of one namespace. Everything that stands in one is a validated name or an id of ours (id.CheckName), so no
// name can reach a wildcard or another namespace.
//
//	squall.<ns>.call.<name>        Call, to any coordinator
//	squall.<ns>.run.<op>           RunOp and Inquiry, to any coordinator
//	squall.<ns>.admin.<op>         Admin, to any coordinator
//	squall.<ns>.node.<node>        Frame and Ack, to one executor or coordinator
//	squall.<ns>.ping.<node>        Ping, to the same; answered at once
//	squall.<ns>.fence.<node>       Fence, to one executor
//	squall.<ns>.mail.<executor>    Mail, to one executor; answered by Mailed
//	squall.<ns>.cache.<executor>   Ask, to one executor's cache; answered by Told
//	squall.<ns>.gone.<node>.<peer> the transport's own "no responders", to the sender of a frame
//	squall.<ns>.hb.<executor>      Heartbeat, to all coordinators
//	squall.<ns>.lend.<lender>      Lender, to all who keep objects
//	squall.<ns>.wholends           nothing, to all lenders: announce yourselves
//	squall.<ns>.reply.<client>     Outcome, to one client
//	squall.<ns>.reply.<client>.<run> the transport's own "no responders", to the sender of a call
type Subjects struct{ prefix string }

// In gives the subjects of a namespace, whose name the caller has checked.
func In(namespace string) Subjects { return Subjects{"squall." + namespace + "."} }

// Queue is the queue group that coordinators share.
const Queue = "coordinator"

// Call is where calls of a DAG or function go.
func (s Subjects) Call(name string) string { return s.prefix + "call." + name }

// Calls matches all of them.
func (s Subjects) Calls() string { return s.prefix + "call.*" }

// Run is where operations on runs go.
func (s Subjects) Run(op string) string { return s.prefix + "run." + op }

// Runs matches all of them.
func (s Subjects) Runs() string { return s.prefix + "run.*" }

// Admin is where registrations go.
func (s Subjects) Admin(op string) string { return s.prefix + "admin." + op }

// Admins matches all of them.
func (s Subjects) Admins() string { return s.prefix + "admin.*" }

// Node is the inbox of one executor or coordinator.
func (s Subjects) Node(node string) string { return s.prefix + "node." + node }

// Ping asks a node whether it is there.
func (s Subjects) Ping(node string) string { return s.prefix + "ping." + node }

// Gone is where the transport says that peer has no inbox any more.
func (s Subjects) Gone(node, peer string) string { return s.prefix + "gone." + node + "." + peer }

// GoneAny matches all of a node's.
func (s Subjects) GoneAny(node string) string { return s.prefix + "gone." + node + ".*" }

// Fence is where a node hears that it was declared dead.
func (s Subjects) Fence(node string) string { return s.prefix + "fence." + node }

// Heartbeat is where an executor's go.
func (s Subjects) Heartbeat(executor string) string { return s.prefix + "hb." + executor }

// Heartbeats matches all of them.
func (s Subjects) Heartbeats() string { return s.prefix + "hb.*" }

// Reply is the inbox of one client.
func (s Subjects) Reply(client string) string { return s.prefix + "reply." + client }
