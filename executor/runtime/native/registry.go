package native

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/value"
)

// Registry holds the native functions of one process and implements runtime.Runtime over them. Client and executor
// share one: Register adds, the executor announces and loads. Safe for concurrent use.
type Registry struct {
	build string

	mu       sync.Mutex
	versions map[string][]entry // by name, oldest first
	onChange func()
}

type entry struct {
	spec runtime.Spec
	impl fn.Impl
}

// New makes an empty Registry.
func New() *Registry {
	return &Registry{build: buildID(), versions: make(map[string][]entry)}
}

// Add makes impl callable under name and says which version it is. A name that is there already gets a new version,
// and the old ones stay, because a run keeps the version that it began with: a name is meant to be added a few times
// in the life of a process, not in a loop.
//
// The version is the executable's build id, the name and an ordinal, so every process that runs the same executable
// and adds the same functions in the same order agrees about it. invalid_name, wrong_type or invalid_argument say why
// impl cannot be a function.
func (r *Registry) Add(name string, impl fn.Impl) (runtime.Spec, error) {
	if err := id.CheckName("function", name); err != nil {
		return runtime.Spec{}, err
	}
	if err := impl.Check(); err != nil {
		return runtime.Spec{}, err
	}
	r.mu.Lock()
	spec := runtime.Spec{
		Name:    name,
		Version: fmt.Sprintf("%s-%s-%d", r.build, name, len(r.versions[name])+1),
		Kind:    runtime.Native,
		Limits:  runtime.DefaultLimits,
		In:      typeNames(impl.In),
		Out:     value.TypeName(impl.Out),
	}
	if impl.Streams {
		spec.In[0] = fn.StreamType
	}
	if impl.Yields {
		spec.Out = fn.StreamType
	}
	r.versions[name] = append(r.versions[name], entry{spec, impl})
	changed := r.onChange
	r.mu.Unlock()
	if changed != nil {
		changed()
	}
	return spec, nil
}

// typeNames is never nil: the arity of a native function is known.
func typeNames(types []reflect.Type) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = value.TypeName(t)
	}
	return out
}

// Functions lists every version of every function, by name and then oldest first.
func (r *Registry) Functions() []runtime.Spec {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []runtime.Spec
	for _, es := range r.versions {
		for _, e := range es {
			out = append(out, e.spec)
		}
	}
	slices.SortStableFunc(out, func(a, b runtime.Spec) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return out
}

// OnChange has f called after every Add, on the goroutine that added; the executor announces its functions anew. It
// replaces what was set before; nil removes it.
func (r *Registry) OnChange(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onChange = f
}

// Kind implements runtime.Runtime.
func (r *Registry) Kind() runtime.Kind { return runtime.Native }

// Load implements runtime.Runtime: it finds the version that spec names. unknown_function where this process does not
// have it; code is ignored.
func (r *Registry) Load(_ context.Context, spec runtime.Spec, _ []byte) (runtime.Callable, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.versions[spec.Name] {
		if e.spec.Version == spec.Version {
			return function{e.impl.Invoke}, nil
		}
	}
	return nil, fault.New(fault.UnknownFunction, "this executor's program does not have version %s of native function %q: run it where that program runs, or register it again", spec.Version, spec.Name)
}

// Close implements runtime.Runtime. There is nothing to release.
func (r *Registry) Close() error { return nil }
