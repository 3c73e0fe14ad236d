// Package prefetch asks the processor for memory before it is needed, where an address is known sooner than what has to be
// waited for besides. It changes nothing but time.
package prefetch

// Line is how many bytes the processor fetches at a time.
const Line = 64
