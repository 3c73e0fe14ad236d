package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fn"
)

const allLevels = "lww, rr, sk, mk, dsc, strong, txn"

func TestConsistencyOfKeys(t *testing.T) {
	sh := open(t)
	sh.ok("kv", "put", "k", "1", "--consistency", "strong", "--ack", "durable", "--ttl", "1h")
	sh.want("1\n", "kv", "get", "k", "--consistency", "strong")
	if x := sh.json("kv", "get", "k"); x["expires"] == nil || x["value"] != 1.0 {
		t.Fatal(x)
	}
	// Each command is a session of its own: it has seen nothing but what it names.
	sh.ok("kv", "put", "cart", `"apple"`, "--consistency", "sk")
	sh.ok("kv", "put", "cart", `"bread"`, "--consistency", "sk")
	sh.want("bread\n", "kv", "get", "cart")
	sh.want("bread\napple\n", "kv", "get", "cart", "--siblings")
	x := sh.json("kv", "get", "cart", "--siblings")
	if fmt.Sprint(x["siblings"]) != "[bread apple]" || x["value"] != nil {
		t.Fatal(x)
	}
	sh.ok("kv", "put", "cart", `"both"`, "--consistency", "sk", "--if-revision", fmt.Sprint(x["revision"]))
	sh.want("both\n", "kv", "get", "cart", "--siblings")
	// A delete takes away what it names and nothing else.
	sh.fails(2, "--if-revision", "kv", "del", "cart", "--consistency", "sk")
	read := fmt.Sprint(sh.json("kv", "get", "cart")["revision"])
	sh.ok("kv", "put", "cart", `"eggs"`, "--consistency", "sk")
	sh.fails(1, "conflict", "kv", "del", "cart", "--consistency", "sk", "--if-revision", read)
	sh.want("eggs\nboth\n", "kv", "get", "cart", "--siblings")
	sh.ok("kv", "del", "cart", "--consistency", "sk", "--if-revision", fmt.Sprint(sh.json("kv", "get", "cart")["revision"]))
	sh.fails(1, "not_found", "kv", "get", "cart")
	sh.ok("kv", "del", "k", "--consistency", "strong")
	sh.fails(1, "not_found", "kv", "get", "k", "--consistency", "strong")
	for _, args := range [][]string{
		{"kv", "get", "k", "--consistency", "all"}, {"kv", "put", "k", "1", "--consistency", "all"}, {"kv", "del", "k", "--consistency", "all"},
		{"kv", "update", "k", "add", "1", "--consistency", "all"}, {"call", "increment", "1", "--consistency", "all"},
		{"run", "compose", "x=1", "--consistency", "all"},
	} {
		sh.fails(2, allLevels, args...)
	}
	for _, args := range [][]string{
		{"kv", "put", "k", "1", "--ack", "soon"}, {"call", "increment", "1", "--ack", "soon"}, {"run", "compose", "x=1", "--ack", "soon"},
	} {
		sh.fails(2, "cached, stored or durable", args...)
	}
}

func TestKeyUpdates(t *testing.T) {
	sh := open(t)
	sh.want("3\n", "kv", "update", "n", "add", "3")
	sh.want("2\n", "kv", "update", "n", "--", "add", "-1")
	sh.want("2\n", "kv", "get", "n")
	for range 2 {
		sh.want("12\n", "kv", "update", "n", "add", "10", "--idempotency-key", "order 7")
	}
	sh.want("[\"a\"]\n", "kv", "update", "tags", "insert", "a")
	sh.want("[\"a\",\"b\"]\n", "kv", "update", "tags", "insert", "b")
	sh.want("[\"b\"]\n", "kv", "update", "tags", "remove", "a", "--consistency", "sk")
	sh.want("7\n", "kv", "update", "most", "max", "7")
	sh.want("7\n", "kv", "update", "most", "max", "5")
	sh.want("7\n", "kv", "update", "least", "min", "7", "--ttl", "1h")
	sh.want("{\"hits\":1}\n", "kv", "update", "page", "field", "hits", "add", "1")
	if x := sh.json("kv", "update", "n", "add", "1"); x["value"] != 13.0 || x["key"] != "n" {
		t.Fatal(x)
	}
	sh.fails(2, "double", "kv", "update", "n", "double", "2")
	sh.fails(2, "add", "kv", "update", "n", "add")
	sh.fails(2, "counter", "kv", "update", "n", "insert", "x")
	sh.ok("kv", "put", "plain", "1")
	sh.fails(2, "plain value", "kv", "update", "plain", "add", "1")

	// Watch and get show values, not the bytes of a state.
	in, out := io.Pipe()
	done := make(chan int, 1)
	said, tell := io.Pipe()
	go func() {
		done <- execute(t.Context(), []string{"-s", sh.url, "kv", "watch", "w/", "--count", "2"}, strings.NewReader(""), out, tell)
		_ = out.Close()
	}()
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil || !strings.Contains(line, "watching") {
		t.Fatal(line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	lines := bufio.NewScanner(in)
	sh.ok("kv", "update", "w/n", "add", "41")
	if lines.Scan(); !strings.HasSuffix(lines.Text(), " put w/n 41") {
		t.Fatal(lines.Text())
	}
	sh.ok("kv", "del", "w/n")
	if lines.Scan(); !strings.HasSuffix(lines.Text(), " del w/n") {
		t.Fatal(lines.Text())
	}
	if code := <-done; code != 0 {
		t.Fatal(code)
	}
	sh.check(tell.Close())
}

func TestConsistencyOfCalls(t *testing.T) {
	sh := isolate(t)
	s, err := squall.Open(t.Context(), squall.Config{Dir: filepath.Join(sh.dir, "nats"), Listen: "127.0.0.1:0"})
	sh.check(err)
	t.Cleanup(func() { sh.check(s.Close()) })
	sh.url = s.URL()
	put := func(c fn.Context, key string) (string, error) {
		return key, errors.Join(fn.Put(c, key+"1", 7), fn.Put(c, key+"2", 7))
	}
	_, err = s.Register(t.Context(), "put", client.Native(put), client.App("shop"))
	sh.check(err)
	if out := sh.ok("fn", "ls"); !strings.Contains(out, "shop") {
		t.Fatal(out)
	}
	sh.fails(2, "application name", "fn", "put", "f", "--wasm", sh.file("f.wasm", "x"), "--app", "no/way")
	sh.want("a\n", "call", "put", "--string", "a", "--ack", "stored")
	sh.want("7\n", "kv", "get", "a2")
	sh.fails(2, "txn_cross_shard", "call", "put", "--string", "a", "--consistency", "txn")
	sh.want("{a}\n", "call", "put", "--string", "{a}", "--consistency", "txn")
	sh.ok("dag", "put", sh.file("puts.yaml", "name: puts\ninputs: [key]\nnodes:\n  p: {call: put, args: [$key]}\noutputs: {y: $p}\n"))
	sh.fails(2, "txn_cross_shard", "run", "puts", "--string", "key=a", "--consistency", "txn")
	sh.ok("run", "puts", "--string", "key={b}", "--consistency", "txn", "--ack", "durable")
	sh.want("7\n", "kv", "get", "{b}1")
}
