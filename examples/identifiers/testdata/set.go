package set

// Set holds each item once.
type Set[T comparable] map[T]struct{}

func (s Set[T]) Add(item T) { s[item] = struct{}{} }

func (s Set[T]) Has(item T) bool { _, ok := s[item]; return ok }
