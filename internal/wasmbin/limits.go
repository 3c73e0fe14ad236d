package wasmbin

// Limits of a module. Those marked JS are the implementation limits of the WebAssembly JavaScript Interface, §
// "Implementation-defined Limits": what toolchains already keep to for browsers. The others bound what the engine
// would allocate or compile on the word of a few bytes.
const (
	// MaxSize is the largest module in bytes.
	MaxSize = 64 << 20
	// MaxFunctions is how many functions a module may define. 300,000 empty ones compile for 10 s.
	MaxFunctions = 200_000

	maxTypes        = 100_000
	maxTypeValues   = 1 << 20 // parameters and results of all types together
	maxParams       = 1_000   // JS
	maxResults      = 1_000   // JS
	maxImports      = 10_000
	maxExports      = 10_000
	maxGlobals      = 10_000 // the engine reloads every mutable global after every call
	maxTables       = 100
	maxSegments     = 100_000   // JS, data segments
	maxElements     = 1 << 20   // entries of all element segments together
	maxFunctionSize = 7_654_321 // JS, bytes
	maxLocals       = 50_000    // JS, of one function
	maxTotalLocals  = 5 << 20   // of all functions together
	maxBranches     = 65_520    // JS, targets of one br_table
	maxNesting      = 1 << 16   // blocks open at once
	maxName         = 100_000   // JS, bytes

	// PageSize is the size of a page of linear memory in bytes.
	PageSize = 64 << 10
	// maxMemoryPages is all that 32 bit addresses reach.
	maxMemoryPages = 1 << 16
)
