package main

import "fmt"

// prime is the field that everything is computed in: 2³¹−1, so that a product fits 64 bits. Results are exact where they
// are less than half of it in size.
const prime = 1<<31 - 1

// element turns an integer into one of the field, and integer turns it back.
func element(x int64) uint64 { return uint64((x%prime + prime) % prime) }

func integer(x uint64) int64 {
	if x > prime/2 {
		return int64(x) - prime
	}
	return int64(x)
}

// inverse is 1/x, by Fermat's little theorem; x is not 0.
func inverse(x uint64) uint64 {
	y := uint64(1)
	for e := prime - 2; e > 0; e >>= 1 {
		if e&1 == 1 {
			y = y * x % prime
		}
		x = x * x % prime
	}
	return y
}

// weight is how much of data block j block i holds. The first k blocks are the data blocks themselves; the weights of the
// others are a Cauchy matrix, 1/(x−y) with x and y all different, of which every square part can be inverted. So any k of
// all the blocks determine the data blocks.
func weight(i, j, k int) uint64 {
	switch {
	case i >= k:
		return inverse(element(int64(i - j))) // i ≥ k > j
	case i == j:
		return 1
	}
	return 0
}

// encode cuts the rows of a matrix into k blocks and adds n−k parity blocks. The last data block is filled up with rows of
// zeros.
func encode(matrix [][]int64, k, n int) ([][][]uint64, error) {
	if k < 1 || n < k || len(matrix) == 0 {
		return nil, fmt.Errorf("a matrix of %d rows cannot be cut into %d blocks of which %d suffice", len(matrix), n, k)
	}
	rows, columns := (len(matrix)+k-1)/k, len(matrix[0])
	blocks := make([][][]uint64, n)
	for i := range blocks {
		blocks[i] = make([][]uint64, rows)
		for r := range rows {
			blocks[i][r] = make([]uint64, columns)
			for j := range k {
				w := weight(i, j, k)
				if at := j*rows + r; at < len(matrix) && w != 0 {
					for c, x := range matrix[at] {
						blocks[i][r][c] = (blocks[i][r][c] + w*element(x)) % prime
					}
				}
			}
		}
	}
	return blocks, nil
}

// times multiplies a block with a vector.
func times(block [][]uint64, vector []int64) ([]uint64, error) {
	out := make([]uint64, len(block))
	for r, row := range block {
		if len(row) != len(vector) {
			return nil, fmt.Errorf("a row of %d numbers cannot be multiplied with %d", len(row), len(vector))
		}
		for c, x := range row {
			out[r] = (out[r] + x*element(vector[c])) % prime
		}
	}
	return out, nil
}

// decode finds the products of the k data blocks from those of any k blocks: the product of a sum of blocks is the sum of
// their products, so it solves one system of k equations for all rows at once, by Gauss–Jordan elimination.
func decode(from []int, products [][]uint64, k int) ([]int64, error) {
	if len(from) != k || len(products) != k {
		return nil, fmt.Errorf("%d products of %d blocks, and %d are needed", len(products), len(from), k)
	}
	left, right := make([][]uint64, k), make([][]uint64, k)
	for e, i := range from {
		left[e], right[e] = make([]uint64, k), append([]uint64(nil), products[e]...)
		for j := range k {
			left[e][j] = weight(i, j, k)
		}
		if len(products[e]) != len(products[0]) {
			return nil, fmt.Errorf("the product of block %d has %d rows, and others have %d", i, len(products[e]), len(products[0]))
		}
	}
	for j := range k {
		pivot := j
		for pivot < k && left[pivot][j] == 0 {
			pivot++
		}
		if pivot == k {
			return nil, fmt.Errorf("blocks %v do not determine the result: one of them came twice", from)
		}
		left[j], left[pivot] = left[pivot], left[j]
		right[j], right[pivot] = right[pivot], right[j]
		scale(left[j], right[j], inverse(left[j][j]))
		for e := range k {
			if f := left[e][j]; e != j && f != 0 {
				subtract(left[e], left[j], f)
				subtract(right[e], right[j], f)
			}
		}
	}
	var out []int64
	for _, block := range right {
		for _, x := range block {
			out = append(out, integer(x))
		}
	}
	return out, nil
}

func scale(a, b []uint64, by uint64) {
	for _, row := range [][]uint64{a, b} {
		for c := range row {
			row[c] = row[c] * by % prime
		}
	}
}

// subtract takes f times row from dst.
func subtract(dst, row []uint64, f uint64) {
	for c := range dst {
		dst[c] = (dst[c] + (prime-f)*row[c]) % prime
	}
}
