package wasmbin

import (
	"fmt"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// HostModule is the module of Squall's own operations (docs/formats/wasm-abi.md).
const HostModule = "squall"

// offered are the functions that a module may import, by module and name, with their types. What the engine provides is
// held against it by a test of the wasm runtime.
var offered = map[[2]string]string{
	{HostModule, "host_call"}: "(i32, i32, i32) -> (i32)",
	{HostModule, "host_read"}: "(i32) -> ()",

	{"wasi_snapshot_preview1", "args_get"}:                "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "args_sizes_get"}:          "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "clock_res_get"}:           "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "clock_time_get"}:          "(i32, i64, i32) -> (i32)",
	{"wasi_snapshot_preview1", "environ_get"}:             "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "environ_sizes_get"}:       "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_advise"}:               "(i32, i64, i64, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_allocate"}:             "(i32, i64, i64) -> (i32)",
	{"wasi_snapshot_preview1", "fd_close"}:                "(i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_datasync"}:             "(i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_fdstat_get"}:           "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_fdstat_set_flags"}:     "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_fdstat_set_rights"}:    "(i32, i64, i64) -> (i32)",
	{"wasi_snapshot_preview1", "fd_filestat_get"}:         "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_filestat_set_size"}:    "(i32, i64) -> (i32)",
	{"wasi_snapshot_preview1", "fd_filestat_set_times"}:   "(i32, i64, i64, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_pread"}:                "(i32, i32, i32, i64, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_prestat_dir_name"}:     "(i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_prestat_get"}:          "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_pwrite"}:               "(i32, i32, i32, i64, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_read"}:                 "(i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_readdir"}:              "(i32, i32, i32, i64, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_renumber"}:             "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_seek"}:                 "(i32, i64, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_sync"}:                 "(i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_tell"}:                 "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "fd_write"}:                "(i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_create_directory"}:   "(i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_filestat_get"}:       "(i32, i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_filestat_set_times"}: "(i32, i32, i32, i32, i64, i64, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_link"}:               "(i32, i32, i32, i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_open"}:               "(i32, i32, i32, i32, i32, i64, i64, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_readlink"}:           "(i32, i32, i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_remove_directory"}:   "(i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_rename"}:             "(i32, i32, i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_symlink"}:            "(i32, i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "path_unlink_file"}:        "(i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "poll_oneoff"}:             "(i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "proc_exit"}:               "(i32) -> ()",
	{"wasi_snapshot_preview1", "proc_raise"}:              "(i32) -> (i32)",
	{"wasi_snapshot_preview1", "random_get"}:              "(i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "sched_yield"}:             "() -> (i32)",
	{"wasi_snapshot_preview1", "sock_accept"}:             "(i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "sock_recv"}:               "(i32, i32, i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "sock_send"}:               "(i32, i32, i32, i32, i32) -> (i32)",
	{"wasi_snapshot_preview1", "sock_shutdown"}:           "(i32, i32) -> (i32)",
}

// Offered gives the type of a function that modules may import, and whether there is one.
func Offered(module, name string) (signature string, ok bool) {
	signature, ok = offered[[2]string{module, name}]
	return signature, ok
}

// OfferedCount is how many there are.
func OfferedCount() int { return len(offered) }

// The exports a module must have, and their types. docs/formats/wasm-abi.md says what each is for.
var wantExports = []struct {
	name string
	sig  Signature
}{
	{"squall_abi_1", Signature{}},
	{"squall_alloc", Signature{Params: []ValueType{I32}, Results: []ValueType{I32}}},
	{"squall_invoke", Signature{Params: []ValueType{I32}, Results: []ValueType{I64}}},
}

// CheckABI holds a module to Squall's ABI: everything it imports is offered, with the type it expects, and everything
// the host calls is there. Else invalid_module, which names what is wrong. It needs no engine, so that a module is
// refused where it is registered and not at its first call.
func (m *Module) CheckABI() error {
	var foreign []string
	for _, i := range m.Imports {
		name := i.Module + "." + i.Name
		switch sig, ok := offered[[2]string{i.Module, i.Name}]; {
		case i.Kind != Function:
			foreign = append(foreign, fmt.Sprintf("%s (a %s)", name, i.Kind))
		case !ok:
			foreign = append(foreign, name)
		case sig != i.Signature.String():
			foreign = append(foreign, fmt.Sprintf("%s as %s, which is %s", name, i.Signature, sig))
		}
	}
	if len(foreign) > 0 {
		const most = 8
		text := strings.Join(foreign[:min(len(foreign), most)], ", ")
		if len(foreign) > most {
			text += fmt.Sprintf(" and %d more", len(foreign)-most)
		}
		return fault.New(fault.InvalidModule, "the module imports what a function may not have: %s; only WASI preview 1 and the operations of module %q are offered", text, HostModule)
	}
	if e, ok := m.Export("memory"); !ok || e.Kind != Memory || m.Memory == nil {
		return fault.New(fault.InvalidModule, "the module does not export its memory under the name memory: link it as a reactor")
	}
	if e, ok := m.Export("_start"); ok && e.Kind == Function {
		if _, reactor := m.Export("squall_abi_1"); !reactor {
			return fault.New(fault.InvalidModule, "the module is a command (it exports _start), and Squall runs reactors: build it with -buildmode=c-shared, and call fn.Serve in an init function")
		}
	}
	for _, w := range wantExports {
		e, ok := m.Export(w.name)
		switch {
		case !ok || e.Kind != Function:
			return fault.New(fault.InvalidModule, "the module does not export %s: import the fn package and call fn.Serve in an init function, or see docs/formats/wasm-abi.md for other languages", w.name)
		case e.Signature.String() != w.sig.String():
			return fault.New(fault.InvalidModule, "the module exports %s as %s, and the ABI wants %s", w.name, e.Signature, w.sig)
		}
	}
	return nil
}
