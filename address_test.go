package squall

import "testing"

func TestAnnouncement(t *testing.T) {
	for _, tc := range []struct{ listen, announce, servers, want string }{
		{"", "", "nats://127.0.0.1:4222", ""},
		{"", "me:1", "nats://127.0.0.1:4222", "me:1"},
		{"127.0.0.1:7000", "", "nats://127.0.0.1:4222", ""},
		{"host:7000", "", "nats://127.0.0.1:4222", ""},
		{":7000", "", "nats://127.0.0.1:4222", "127.0.0.1"},
		{"0.0.0.0:7000", "", "127.0.0.1", "127.0.0.1"},
		{"[::]:7000", "", " nats://user:secret@127.0.0.1,other", "127.0.0.1"},
		{"0.0.0.0:7000", "10.0.0.9:80", "127.0.0.1", "10.0.0.9:80"},
		{"0.0.0.0:7000", "", "::", ""},
		{"nonsense", "", "127.0.0.1", ""},
	} {
		if got := announcement(t.Context(), tc.listen, tc.announce, tc.servers); got != tc.want {
			t.Errorf("announcement(%q, %q, %q) = %q, want %q", tc.listen, tc.announce, tc.servers, got, tc.want)
		}
	}
}
