package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// listenerKey is the key of the listener in the context of a request.
type listenerKey struct{}

func withListener(ln net.Listener) context.Context {
	return context.WithValue(context.Background(), listenerKey{}, ln)
}

// asked refuses requests to a loopback listener by a name that is not this host's. Such a
// listener is only for programs on this host, but a page in a browser here can make its
// own name point to it (DNS rebinding) and then read what it serves; the Host field
// (RFC 9110 section 7.2) still has that page's name. hosts are names to allow beside
// localhost and loopback addresses.
func asked(h http.Handler, hosts []string) http.Handler {
	allowed := map[string]bool{"localhost": true, "": true} // browsers always name a host
	for _, host := range hosts {
		allowed[bareHost(host)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ln, _ := r.Context().Value(listenerKey{}).(net.Listener)
		host := bareHost(r.Host)
		ip, err := netip.ParseAddr(host)
		if ln == nil || !onLoopback(ln) || allowed[host] || err == nil && ip.IsLoopback() {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "%q is not a name of this listener: ask by localhost, or add the name to hosts in [metrics]\n", host)
	})
}

func onLoopback(ln net.Listener) bool {
	a, ok := ln.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// bareHost returns a host in lower case, without port, brackets and final dot.
func bareHost(s string) string {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	return strings.ToLower(strings.TrimSuffix(s, "."))
}
