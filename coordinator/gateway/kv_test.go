package gateway_test

import (
	"net/url"
	"strings"
	"testing"
)

func TestKeyValues(t *testing.T) {
	h := open(t)
	for _, c := range []struct{ media, body, got string }{
		{"application/json", `{"a":[1,2.5,null,{"$bytes":"AA=="}]}`, "application/json"},
		{"text/plain; charset=utf-8", "grüß dich", "text/plain; charset=utf-8"},
		{"application/octet-stream", "\x00\xff", "application/octet-stream"},
		{"", "as it is", "application/octet-stream"},
		{"application/json", "[]", "application/json"},
		{"application/json", "null", "application/json"},
	} {
		a := h.do("PUT", "/v1/kv/value", c.body, "Content-Type", c.media)
		h.want(a, 204, "")
		b := h.do("GET", "/v1/kv/value", "")
		h.want(b, 200, c.body)
		if b.header.Get("Content-Type") != c.got || b.header.Get("ETag") == "" || b.header.Get("ETag") != a.header.Get("ETag") {
			t.Fatalf("%v after %v", b.header, a.header)
		}
	}
	h.do("PUT", "/v1/kv/value", "\x01")
	h.want(h.do("GET", "/v1/kv/value", "", "Accept", "application/json"), 200, `{"$bytes":"AQ=="}`)
	h.problem(h.do("PUT", "/v1/kv/value", "\xff", "Content-Type", "text/plain"), 400, "invalid_argument")
	h.problem(h.do("PUT", "/v1/kv/value", "{", "Content-Type", "application/json"), 400, "invalid_argument")
	h.problem(h.do("PUT", "/v1/kv/value?ttl=-1s", "x"), 400, "invalid_argument")
	h.want(h.do("PUT", "/v1/kv/value?ttl=1h", "x"), 204, "")
	h.want(h.do("DELETE", "/v1/kv/value", ""), 204, "")
	h.want(h.do("DELETE", "/v1/kv/value", ""), 204, "")
	h.problem(h.do("GET", "/v1/kv/value", ""), 404, "not_found")
	if a := h.do("HEAD", "/v1/kv/value", ""); a.status != 404 || a.body != "" {
		t.Fatalf("%d %q", a.status, a.body)
	}
}

func TestKeys(t *testing.T) {
	h := open(t)
	any := make([]byte, 256)
	for i := range any {
		any[i] = byte(i)
	}
	keys := []string{
		"a", "a/b", "/", "//", "a//b", " ", "%", "%2F", "+", "a?b#c", "\x00", "\xff\xfe", "\r\n", "grüß", "*", ">", "squall.default",
		"a/", ":name", "*key", "...", string(any), strings.Repeat("k", 1024),
	}
	for _, key := range keys {
		path := "/v1/kv/" + url.PathEscape(key)
		h.want(h.do("PUT", path, key), 204, "")
	}
	for _, key := range keys {
		h.want(answer{200, nil, h.do("GET", "/v1/kv/"+url.PathEscape(key), "").body}, 200, strings.TrimSpace(key))
	}
	h.do("PUT", "/v1/kv/plain/slashes", "1") // is the key with %2F
	h.want(h.do("GET", "/v1/kv/plain%2fslashes", ""), 200, "1")
	h.want(h.do("PUT", "/v1/kv/..%2Fx", "1"), 204, "") // no segment, and so no way up

	h.problem(h.do("GET", "/v1/kv/", ""), 400, "invalid_key")
	h.problem(h.do("GET", "/v1/kv/"+strings.Repeat("k", 1025), ""), 400, "invalid_key")
	h.problem(h.do("GET", "/v1/kv/..", ""), 400, "invalid_key")
	h.problem(h.do("GET", "/v1/kv/a/%2e%2e/functions", ""), 400, "invalid_key")
	h.problem(h.do("GET", "/v1%2fkv/a", ""), 404, "not_found")
}

func TestCompareAndSet(t *testing.T) {
	h := open(t)
	h.problem(h.do("PUT", "/v1/kv/k", "0", "If-Match", "*"), 412, "conflict")
	a := h.do("PUT", "/v1/kv/k", "1", "If-None-Match", "*")
	h.want(a, 204, "")
	first := a.header.Get("ETag")
	h.problem(h.do("PUT", "/v1/kv/k", "2", "If-None-Match", "*"), 412, "conflict")
	h.want(h.do("GET", "/v1/kv/k", "", "If-None-Match", `"0", W/`+first), 304, "")
	a = h.do("PUT", "/v1/kv/k", "2", "If-Match", first)
	h.want(a, 204, "")
	second := a.header.Get("ETag")
	for _, stale := range []string{first, `"999999"`, `"0"`, `W/` + second, "7", `"x"`} {
		h.problem(h.do("PUT", "/v1/kv/k", "3", "If-Match", stale), 412, "conflict")
		h.problem(h.do("DELETE", "/v1/kv/k", "", "If-Match", stale), 412, "conflict")
	}
	h.want(h.do("PUT", "/v1/kv/k", "3", "If-Match", "*"), 204, "")
	h.want(h.do("GET", "/v1/kv/k", "", "If-None-Match", second), 200, "3")
	h.problem(h.do("PUT", "/v1/kv/k", "3", "If-Match", "*", "If-None-Match", "*"), 400, "invalid_argument")
	h.problem(h.do("PUT", "/v1/kv/k", "3", "If-None-Match", first), 400, "invalid_argument")
	h.problem(h.do("PUT", "/v1/kv/k", "3", "If-Match", first+", "+second), 400, "invalid_argument")
	h.want(h.do("DELETE", "/v1/kv/k", "", "If-Match", "*"), 204, "")
	h.problem(h.do("DELETE", "/v1/kv/k", "", "If-Match", "*"), 412, "conflict")
}

func TestListKeys(t *testing.T) {
	h := open(t)
	want := map[string]bool{"p/a": true, "p/b": true, "p/\x00": true}
	for key := range want {
		h.do("PUT", "/v1/kv/"+url.PathEscape(key), "1")
	}
	h.do("PUT", "/v1/kv/%ff", "1")
	got := map[string]bool{}
	for cursor := ""; ; {
		page := h.do("GET", "/v1/kv?limit=1&prefix=p%2F&cursor="+url.QueryEscape(cursor), "").json(t)
		for _, k := range page["keys"].([]any) {
			got[k.(string)] = true
		}
		if cursor, _ = page["next"].(string); cursor == "" {
			break
		}
	}
	if len(got) != len(want) || !got["p/a"] || !got["p/b"] || !got["p/\x00"] {
		t.Fatalf("%v", got)
	}
	h.want(h.do("GET", "/v1/kv?prefix=%ff", ""), 200, `{"keys":[{"$bytes":"/w=="}]}`)
	h.want(h.do("GET", "/v1/kv?prefix=zzz", ""), 200, `{"keys":[]}`)
	h.problem(h.do("GET", "/v1/kv?limit=0", ""), 400, "invalid_argument")
	h.problem(h.do("GET", "/v1/kv?limit=10001", ""), 400, "invalid_argument")
	h.problem(h.do("GET", "/v1/kv?limit=99999999999999999999", ""), 400, "invalid_argument")
	h.problem(h.do("GET", "/v1/kv?cursor=%20nonsense", ""), 400, "invalid_argument")
	h.problem(h.do("GET", "/v1/kv?prefix=%zz", ""), 400, "invalid_argument")
}

func TestConsistencyOfKeys(t *testing.T) {
	h := open(t)
	h.want(h.do("PUT", "/v1/kv/k", "1", "Squall-Consistency", "strong", "Squall-Ack", "cached"), 204, "")
	h.want(h.do("GET", "/v1/kv/k", "", "Squall-Consistency", "strong"), 200, "1")
	h.want(h.do("DELETE", "/v1/kv/k", "", "Squall-Consistency", "txn"), 204, "")
	h.problem(h.do("GET", "/v1/kv/k", "", "Squall-Consistency", "strong"), 404, "not_found")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		p := h.problem(h.do(method, "/v1/kv/k", "1", "Squall-Consistency", "Strong"), 400, "invalid_argument")
		if detail := p["detail"].(string); !strings.Contains(detail, "lww, rr, sk, mk, dsc, strong, txn") {
			t.Errorf("%s does not say what is allowed: %s", method, detail)
		}
	}
	h.problem(h.do("PUT", "/v1/kv/k", "1", "Squall-Ack", "soon"), 400, "invalid_argument")
	h.problem(h.do("GET", "/v1/kv/k?siblings=perhaps", ""), 400, "invalid_argument")
}

func TestSiblings(t *testing.T) {
	h := open(t)
	sk := []string{"Squall-Consistency", "sk", "Content-Type", "application/json"}
	h.want(h.do("PUT", "/v1/kv/cart", `"apple"`, sk...), 204, "")
	h.want(h.do("GET", "/v1/kv/cart?siblings", ""), 200, `["apple"]`)
	h.want(h.do("PUT", "/v1/kv/cart", `"bread"`, sk...), 204, "") // every request is a session of its own
	a := h.do("GET", "/v1/kv/cart?siblings=1", "", "Squall-Consistency", "sk")
	h.want(a, 200, `["bread","apple"]`)
	h.want(h.do("GET", "/v1/kv/cart", "", "Accept", "application/json"), 200, `"bread"`)
	h.problem(h.do("DELETE", "/v1/kv/cart", "", sk...), 400, "invalid_argument") // of what?
	old := a.header.Get("ETag")
	a = h.do("PUT", "/v1/kv/cart", `"both"`, append(sk, "If-Match", old)...)
	h.want(a, 204, "")
	h.want(h.do("GET", "/v1/kv/cart?siblings=1", ""), 200, `["both"]`)
	h.problem(h.do("PUT", "/v1/kv/cart", `"late"`, append(sk, "If-Match", old)...), 412, "conflict")
	h.want(h.do("DELETE", "/v1/kv/cart", "", append(sk, "If-Match", a.header.Get("ETag"))...), 204, "")
	h.problem(h.do("GET", "/v1/kv/cart?siblings=1", ""), 404, "not_found")
}

func TestUpdates(t *testing.T) {
	h := open(t)
	a := h.do("POST", "/v1/kv/n/updates", `{"op":"add","arg":3}`, "Content-Type", "application/json")
	h.want(a, 200, `{"value":3}`)
	if got := h.do("GET", "/v1/kv/n", ""); got.body != "3" || got.header.Get("ETag") != a.header.Get("ETag") {
		t.Fatalf("%v after %v", got, a)
	}
	for range 3 {
		h.want(h.do("POST", "/v1/kv/n/updates", `{"op":"add","arg":-1}`, "Idempotency-Key", "order 7"), 200, `{"value":2}`)
	}
	h.want(h.do("POST", "/v1/kv/tags/updates?ttl=1h", `{"op":"insert","arg":"b"}`, "Squall-Consistency", "dsc"), 200, `{"value":["b"]}`)
	h.want(h.do("POST", "/v1/kv/tags/updates", `{"op":"insert","arg":"a"}`), 200, `{"value":["a","b"]}`)
	h.want(h.do("POST", "/v1/kv/a%2Fupdates/updates", `{"op":"max","arg":7}`), 200, `{"value":7}`)
	h.want(h.do("GET", "/v1/kv/a/updates", ""), 200, "7")
	h.want(h.do("POST", "/v1/kv/m/updates", `{"op":"field","field":"hits","update":{"op":"add","arg":1}}`), 200, `{"value":{"hits":1}}`)
	h.want(h.do("POST", "/v1/kv/m/updates", `{"op":"remove-field","field":"hits"}`), 200, `{"value":{}}`)
	h.problem(h.do("POST", "/v1/kv/m/updates", `{"op":"add","arg":1}`), 422, "wrong_type")
	h.problem(h.do("POST", "/v1/kv/n", `{"op":"add","arg":1}`), 405, "invalid_argument")
	h.problem(h.do("POST", "/v1/kv/updates", `{"op":"add","arg":1}`), 400, "invalid_key")
	h.problem(h.do("POST", "/v1/kv/n/updates", `<op/>`, "Content-Type", "application/xml"), 415, "unsupported")
	h.problem(h.do("POST", "/v1/kv/n/updates", `{"op":"add","arg":1}`, "Squall-Consistency", "all"), 400, "invalid_argument")
	deep := strings.Repeat(`{"op":"field","field":"f","update":`, 100) + `{"op":"add","arg":1}` + strings.Repeat("}", 100)
	for _, body := range []string{
		"", "{}", "3", `{"op":"add"}`, `{"op":"add","arg":"x"}`, `{"op":"double","arg":1}`, `{"op":"add","arg":1,"by":2}`, `{"op":"field","field":"f"}`,
		`{"op":"field","arg":1}`, `{"op":"add","field":"f","arg":1}`, `{"op":"add","arg":1} 2`, `{"op":"insert","arg":{"$bytes":7}}`, deep,
	} {
		if a := h.do("POST", "/v1/kv/n/updates", body); a.status != 400 && a.status != 422 {
			t.Errorf("%.60s: %d %s", body, a.status, a.body)
		}
	}
	h.want(h.do("GET", "/v1/kv/n", ""), 200, "2")
}
