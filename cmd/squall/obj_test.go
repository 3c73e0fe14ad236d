package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestObjects: what a new user does with objects, on one executor.
func TestObjects(t *testing.T) {
	sh := open(t)
	text := strings.Repeat("0123456789", 100_000)
	file := sh.file("in", text)
	if out := sh.ok("obj", "put", "k", file); !strings.Contains(out, "1000000 bytes as 1+0, version 1") {
		t.Fatal(out)
	}
	if sh.ok("obj", "get", "k") != text || sh.ok("obj", "get", "k", "--offset", "5", "--length", "3") != "567" {
		t.Fatal("other bytes")
	}
	out := filepath.Join(sh.dir, "out")
	sh.ok("obj", "get", "k", "--file", out)
	if b, err := os.ReadFile(out); err != nil || string(b) != text {
		t.Fatal("other bytes in the file", err)
	}
	precious := sh.file("precious", "what was there")
	sh.fails(1, "'squall obj ls' lists objects", "obj", "get", "nothing", "--length", "5", "--file", precious)
	if b, err := os.ReadFile(precious); err != nil || string(b) != "what was there" {
		t.Fatalf("after a get that failed the file has %q, %v", b, err)
	}
	sh.fails(2, "file for the object", "obj", "get", "k", "--file", filepath.Join(sh.dir, "no", "such", "directory"))
	sh.fails(2, "file for the object", "obj", "get", "k", "--file", sh.dir) // where a file cannot be put
	for _, dir := range []string{sh.dir, "."} {
		if left, err := filepath.Glob(filepath.Join(dir, ".squall-obj-*")); err != nil || len(left) > 0 {
			t.Fatalf("left behind: %q, %v", left, err)
		}
	}
	sh.ok("obj", "put", "a", file, "--stored")
	if list := sh.ok("obj", "ls"); !strings.Contains(list, "true") || strings.Index(list, "\na ") > strings.Index(list, "\nk ") {
		t.Fatal(list)
	}
	if s := sh.ok("obj", "stat", "k"); !strings.Contains(s, "no lender and no host may go before it is a miss") || !strings.Contains(s, "whole") {
		t.Fatal(s)
	}
	sh.ok("obj", "rm", "k", "a")
	sh.fails(1, "'squall obj ls' lists objects", "obj", "get", "k")
	if list := sh.ok("obj", "ls"); strings.Contains(list, "1+0") {
		t.Fatal(list)
	}
}

// TestAnyOf: what may go, in words.
func TestAnyOf(t *testing.T) {
	for n, want := range []string{"no lender", "any lender", "any 2 lenders"} {
		if got := anyOf(n, "lender"); got != want {
			t.Error(got)
		}
	}
}
