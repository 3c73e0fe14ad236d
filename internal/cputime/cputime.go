// Package cputime tells how much CPU time processes have used: what benchmarks divide by their operations.
package cputime
