package cache

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// resolveParallel is how many references of one call are read from the store at a time.
const resolveParallel = 16

// Resolve gives args with each reference replaced by the value under its key, one level deep: a value that is itself
// a reference stays one. Without references it returns args as they are and allocates nothing; else args is left as
// it was. Keys that are not held are read side by side. not_found names the key and the position of a reference, from
// 1, that has no value; other errors are the store's, and say the same.
func (l *Cachelet) Resolve(ctx context.Context, args []value.Value) ([]value.Value, error) {
	refs := 0
	for i := range args {
		if args[i].Kind() == value.Reference {
			refs++
		}
	}
	if refs == 0 {
		return args, nil
	}
	out := make([]value.Value, len(args))
	copy(out, args)
	if refs == 1 {
		for i := range out {
			if err := l.resolve(ctx, out, i); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	var group *errgroup.Group
	all := ctx
	for i := range out {
		ref, ok := out[i].Ref()
		if !ok {
			continue
		}
		if l.c.Contains(kvs.Key(ref)) {
			if err := l.resolve(ctx, out, i); err != nil {
				return nil, first(group, err)
			}
			continue
		}
		if group == nil {
			group, all = errgroup.WithContext(ctx)
			group.SetLimit(resolveParallel)
		}
		group.Go(func() error { return l.resolve(all, out, i) })
	}
	if group != nil {
		if err := group.Wait(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// first waits for what is under way and gives err.
func first(group *errgroup.Group, err error) error {
	if group != nil {
		_ = group.Wait()
	}
	return err
}

// resolve replaces vs[i] if it is a reference.
func (l *Cachelet) resolve(ctx context.Context, vs []value.Value, i int) error {
	ref, ok := vs[i].Ref()
	if !ok {
		return nil
	}
	v, err := l.Get(ctx, kvs.Key(ref))
	if err != nil {
		return unresolved(err, i, string(ref))
	}
	vs[i] = v
	return nil
}

// Resolve is Cachelet.Resolve for what belongs to no application.
func (c *Cache) Resolve(ctx context.Context, args []value.Value) ([]value.Value, error) {
	return c.Main().Resolve(ctx, args)
}
