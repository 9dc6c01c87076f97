package main

import (
	"net"
	"testing"
)

func TestPageURL(t *testing.T) {
	tests := []struct {
		name  string
		addrs []net.Addr
		want  string
	}{
		{"none", nil, ""},
		{"IPv4", []net.Addr{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9894}}, "http://127.0.0.1:9894/"},
		{"IPv6", []net.Addr{&net.TCPAddr{IP: net.IPv6loopback, Port: 9894}}, "http://[::1]:9894/"},
		{"every address", []net.Addr{&net.TCPAddr{IP: net.IPv6unspecified, Port: 80}}, "http://localhost:80/"},
		{"a unix socket", []net.Addr{&net.UnixAddr{Name: "/run/x", Net: "unix"}}, ""},
		{"a unix socket first", []net.Addr{&net.UnixAddr{Name: "/run/x", Net: "unix"}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}, "http://192.0.2.1:1/"},
	}
	for _, tt := range tests {
		if got := pageURL("http", tt.addrs); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
