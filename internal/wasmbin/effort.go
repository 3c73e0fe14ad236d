package wasmbin

// Compiling is not linear in the length of a function: wazero 1.12 takes time that grows with the square of the blocks
// of a function (it looks for loops by walking up the dominator tree from each), and with the product of loops and
// locals (each local may need a phi at the header of each loop). 8,000 empty loops, 24 KB, compile for 20 s, and
// compiling cannot be interrupted. So the meter adds up an estimate and refuses what would outlast patience.
//
// One unit of effort is about 15 ns (BenchmarkEffort). The largest Go program there is to try, the Go compiler built
// for wasip1 (48 MB, 20,000 functions, up to 9,600 blocks in one), comes to 0.66e9; gofmt to 0.02e9.
const (
	maxEffort       = 2_000_000_000
	effortOfRange   = 3 // blocks that an instruction on a range compiles to
	effortOfLoop    = 5 // blocks that a metered loop weighs
	effortOfLoopVar = 700
)

// outline is what a function costs the compiler by.
type outline struct {
	blocks, loops, ranges, locals int
}

func (s outline) effort() int {
	b := s.blocks + effortOfRange*s.ranges + effortOfLoop*s.loops
	return b*b + effortOfLoopVar*s.loops*s.locals
}
