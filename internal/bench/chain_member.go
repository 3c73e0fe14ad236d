package bench

import "github.com/squall-faas/squall/fn"

// chainMake makes a value, as large as it is asked for.
func chainMake(_ fn.Context, bytes int) ([]byte, error) {
	if bytes < 8 || bytes > 1<<30 {
		return nil, errChainBytes
	}
	return chainValue(bytes), nil
}

// chainPass passes a value on as it is.
func chainPass(_ fn.Context, b []byte) ([]byte, error) { return b, nil }

func chainJudge(_ fn.Context, b []byte) (uint64, error) { return chainJudged(b), nil }
