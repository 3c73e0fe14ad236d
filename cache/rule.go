package cache

// The rules that Config.Break can disable, and what fails without them.
const (
	BreakCompareAndSet Rule = "compare-and-set" // lattice writes expect nothing: concurrent ones overwrite each other
	BreakSnapshot      Rule = "snapshot"        // a downstream node reads what its own cache has: rr is lost
	BreakCover         Rule = "cover"           // a version enters before its dependencies are met: the cut is lost
	BreakDependencies  Rule = "dependencies"    // a session does not look at dependencies: dsc is lost
	BreakSiblings      Rule = "siblings"        // a causal write replaces what it has not seen: concurrent writes are lost
	BreakProof         Rule = "proof"           // a strong read takes what the cache has: linearizability is lost
	BreakValidation    Rule = "validation"      // a transaction commits without looking at its reads again
	BreakOnce          Rule = "once"            // operations carry no id: one that is executed again counts again
)
