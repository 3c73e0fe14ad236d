// Package wasm is the sandboxed runtime: WebAssembly reactors over wazero.
//
// A module is checked and metered (internal/wasmbin), compiled once, and then instantiated as often as there are
// invocations at one time. Between invocations an instance waits in a pool, because instantiating a Go reactor costs
// milliseconds and calling it microseconds:
//
//	            ┌────────── returned a value or an error ─────────┐
//	            ▼                                                 │
//	new ──▶ [ idle ] ──── acquire: one invocation at a time ──▶ [ running ] ── trap, exit, deadline, memory ──▶ closed
//	            └──────────── unused for IdleTime, or the pool is over its bounds ───────────────────────────────▲
//
// The guest's half of the ABI is package fn; docs/formats/wasm-abi.md specifies it for other languages.
//
// What a guest can reach: a clock, randomness, sleep, its own memory, its log, and the operations of fn.Context. No
// files, no network, no environment, no arguments.
//
// What ends a guest: its metered code asks the host every 100,000 units of work or so whether to go on, and so do its
// sleeps and its calls on the Context; a memory that wants to grow over its limit is refused. Neither hurts any other
// instance. Modules are compiled inside this process: a module within wasmbin's limits still occupies a processor for
// some seconds while it compiles, which is why only one compiles at a time.
package wasm
