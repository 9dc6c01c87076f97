package webhook

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab/receiver"
)

// serveTLS starts a server for example.com and 127.0.0.1, and returns it with a file that
// contains its certificate.
func serveTLS(t *testing.T, h http.Handler, change func(*httptest.Server)) (*httptest.Server, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // discards the expected failures of handshakes
	if change != nil {
		change(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return server, file
}

// The name and the authority of certificates are verified, with a safe version of TLS.
func TestTLS(t *testing.T) {
	for name, tt := range map[string]struct {
		host   string // "" for 127.0.0.1
		trust  bool
		change func(*httptest.Server)
		want   string // of the error, "" for success
	}{
		"trusted":        {trust: true},
		"HTTP/2":         {trust: true, change: func(s *httptest.Server) { s.EnableHTTP2 = true }},
		"nobody's":       {want: "unknown authority (name the certificate of its authority in ca_file)"},
		"another's name": {host: "localhost", trust: true, want: "not localhost"},
		"TLS 1.1": {trust: true, want: "protocol version", change: func(s *httptest.Server) {
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := receiver.NewNative()
			if err != nil {
				t.Fatal(err)
			}
			server, file := serveTLS(t, r, tt.change)
			o := DefaultOptions()
			o.URL = server.URL
			if tt.host != "" {
				o.URL = strings.Replace(o.URL, "127.0.0.1", tt.host, 1)
			}
			if tt.trust {
				o.CAFile = file
			}
			sent, err := newSink(t, o).Send(t.Context(), records(t, 2))
			switch {
			case tt.want == "" && (err != nil || sent.Done != 2 || len(r.IDs()) != 2):
				t.Errorf("Send() = %+v, %v", sent, err)
			case tt.want != "" && (err == nil || sent.Done != 0 || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Send() = %+v, %v; want an error with %q", sent, err, tt.want)
			}
		})
	}
}

// proxy is a proxy that connects to one address, whatever host it is asked for, and requires
// a password.
type proxy struct {
	to   string
	asks atomic.Int32
	host atomic.Value // the host that was asked for last
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asks.Add(1)
	p.host.Store(r.Host)
	if r.Header.Get("Proxy-Authorization") != "Basic dXNlcjpwcm94eS1wYXNz" { // user:proxy-pass
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		return
	}
	if r.Method == http.MethodConnect {
		p.tunnel(w)
		return
	}
	r.URL.Host, r.RequestURI = p.to, ""
	r.Header.Del("Proxy-Authorization")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// tunnel joins the two sides until one hangs up.
func (p *proxy) tunnel(w http.ResponseWriter) {
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = far.Close()
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

// The proxy and its password come from the environment. No error shows the password.
func TestProxy(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		for name, tt := range map[string]struct {
			login   string
			noProxy string
			want    string // of the error, "" for success
		}{
			"with a password":  {login: "user:proxy-pass@"},
			"without":          {login: "", want: "roxy"},
			"another password": {login: "user:another-pass@", want: "roxy"},
			"not for it":       {login: "user:proxy-pass@", noProxy: ".test", want: scheme + "://crm.example.test"},
		} {
			t.Run(scheme+" "+name, func(t *testing.T) {
				r, err := receiver.NewNative()
				if err != nil {
					t.Fatal(err)
				}
				o := DefaultOptions()
				p := &proxy{}
				host := "crm.example.test"
				if scheme == "https" {
					server, file := serveTLS(t, r, nil)
					o.CAFile, p.to = file, server.Listener.Addr().String()
					if tt.want == "" {
						host = "example.com" // the name in the certificate
					}
				} else {
					p.to = strings.TrimPrefix(serve(t, r), "http://")
				}
				o.URL = scheme + "://" + host + "/hooks"
				through := strings.Replace(serve(t, p), "http://", "http://"+tt.login, 1)
				for _, v := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
					t.Setenv(v, through)
					t.Setenv(strings.ToLower(v), "")
				}
				t.Setenv("NO_PROXY", tt.noProxy)
				s := newSink(t, o)
				s.timeout = time.Minute // a resolver may be slow
				sent, err := s.Send(t.Context(), records(t, 2))
				switch {
				case tt.want == "" && (err != nil || sent.Done != 2 || len(r.IDs()) != 2):
					t.Errorf("Send() = %+v, %v", sent, err)
				case tt.want != "" && (err == nil || sent.Done != 0 || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "-pass")):
					t.Errorf("Send() = %+v, %v; want an error with %q", sent, err, tt.want)
				}
				asked := p.asks.Load() > 0
				if asked != (tt.noProxy == "") || asked && !strings.HasPrefix(p.host.Load().(string), host) {
					t.Errorf("the proxy was asked for %v", p.host.Load())
				}
			})
		}
	}
}

// If the proxy is not a URL, the error does not show its password.
func TestProxyGarbage(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://user:proxy-pass@bad host:99999999/")
	o := DefaultOptions()
	o.URL = "http://crm.example.test/hooks"
	sent, err := newSink(t, o).Send(t.Context(), records(t, 1))
	if err == nil || sent.Done != 0 || !strings.Contains(err.Error(), "proxy") || strings.Contains(err.Error(), "-pass") {
		t.Errorf("Send() = %+v, %v", sent, err)
	}
}

func TestSameHost(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"https://crm.example.org/a", "https://CRM.example.org/b", true},
		{"https://crm.example.org:443/", "https://crm.example.org/", true},
		{"http://crm.example.org:80/", "http://crm.example.org/", true},
		{"https://crm.example.org:80/", "https://crm.example.org/", false},
		{"https://crm.example.org/", "https://crm.example.org.example.net/", false},
		{"https://[::1]:8443/", "https://[::1]:8443/x", true},
	} {
		a, err := url.Parse(tt.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := url.Parse(tt.b)
		if err != nil {
			t.Fatal(err)
		}
		if sameHost(a, b) != tt.want {
			t.Errorf("sameHost(%s, %s) is not %t", a, b, tt.want)
		}
	}
}

// FuzzAnswer checks that, whatever comes back, a record is delivered only after a 2xx, and
// errors are short, on one line and without secrets.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 503 Later\r\nRetry-After: 7\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
		"HTTP/1.1 307 \r\nLocation: /x?token=t0ken-in-query\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: //[::1]:1/\x7f\r\n\r\n",
		"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\nx",
		"HTTP/1.1 413 \r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 429 \r\nRetry-After: 99999999999999999999\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
		"HTTP/1.0 422 no\r\n\r\n{\"message\":\"\u202e t0ken-in-query \x1b[2J\"}",
		"HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "", "\x15\x03\x03\x00\x02\x02\x28",
	} {
		f.Add([]byte(s))
	}
	r, s := native(f)
	batch := records(f, 1)
	f.Fuzz(func(t *testing.T, answer []byte) {
		r.FailWith(func(int) receiver.Fault { return receiver.Raw(answer) })
		sent, err := s.Send(t.Context(), batch)
		check := func(err error) {
			if text := err.Error(); len(text) > 4*maxExcerpt || strings.ContainsAny(text, "\r\n\x00\x1b") || strings.Contains(text, "t0ken-in-query") {
				t.Errorf("%q gives the error %q", answer, text)
			}
		}
		switch {
		case err != nil:
			check(err)
			if sent.Done != 0 {
				t.Errorf("%q: %+v, %v", answer, sent, err)
			}
		case sent.Done != 1:
			t.Errorf("%q: %+v", answer, sent)
		case len(sent.Refused) == 1:
			check(sent.Why[0])
		case !strings.Contains(string(answer), " 2"):
			t.Errorf("%q is success", answer)
		}
	})
}

// TestSinkMemory checks how much memory a receiver's answer can take.
func TestSinkMemory(t *testing.T) {
	r, s := native(t)
	r.FailWith(func(int) receiver.Fault { return receiver.Huge(400) })
	sent, err := s.Send(t.Context(), records(t, 1))
	if err != nil || len(sent.Why) != 1 || len(sent.Why[0].Error()) > 4*maxExcerpt {
		t.Errorf("Send() = %+v, %v", sent, err)
	}
	r.FailWith(func(int) receiver.Fault {
		return receiver.Raw([]byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n"))
	})
	if sent, err := s.Send(t.Context(), records(t, 1)); err == nil || sent.Done != 0 {
		t.Errorf("a header without end: %+v, %v", sent, err)
	}
}

// BenchmarkNative measures what sending a record to a receiver on this host costs.
func BenchmarkNative(b *testing.B) {
	url := serve(b, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	o := DefaultOptions()
	o.URL, o.SecretFile = url, secretFile(b, "a secret of benchmarks, long enough")
	s := newSink(b, o)
	var batch []event.Item
	for len(batch) < 1000 {
		batch = append(batch, records(b, maxRecords)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		if sent, err := s.Send(b.Context(), batch); err != nil || sent.Done != len(batch) {
			b.Fatalf("%+v, %v", sent, err)
		}
	}
	b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "records/s")
}
