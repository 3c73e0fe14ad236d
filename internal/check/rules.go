package check

import (
	"slices"
	"strings"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/fault"
)

// rules are those that Config.Break can disable.
var rules = []cache.Rule{
	cache.BreakCompareAndSet, cache.BreakSnapshot, cache.BreakCover, cache.BreakDependencies, cache.BreakSiblings,
	cache.BreakProof, cache.BreakValidation, cache.BreakOnce,
}

// RuleNames lists them for people.
func RuleNames() string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// ParseRule reads a rule's name; "" is none.
func ParseRule(s string) (cache.Rule, error) {
	if s == "" || slices.Contains(rules, cache.Rule(s)) {
		return cache.Rule(s), nil
	}
	return "", fault.New(fault.InvalidArgument, "no rule %.40q can be disabled: use one of %s", s, RuleNames())
}
