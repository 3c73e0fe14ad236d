package dag

// nearest gives the candidate that name was probably meant to be, or "" where none is close: at most one edit in
// three letters, and one in two. It is for messages, so long names and crowds are not worth the time.
func nearest(name string, candidates []string) string {
	const longest = 64
	best, bestDist := "", max(1, len(name)/3)+1
	if len(name) < 2 || len(name) > longest {
		return ""
	}
	for _, c := range candidates {
		if len(c) > longest || len(c)-len(name) >= bestDist || len(name)-len(c) >= bestDist {
			continue
		}
		if d := editDistance(name, c); d < bestDist {
			best, bestDist = c, d
		}
	}
	return best
}

// editDistance counts the bytes to insert, remove, replace, or swap with their neighbour to turn a into b (optimal
// string alignment).
func editDistance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
