package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab/receiver"
)

// secretFile writes text to a file and returns its path.
func secretFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve starts a server and returns its URL.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = nil
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// newSink makes a sink that is closed at the end of the test.
func newSink(t testing.TB, o Options) *Sink {
	t.Helper()
	s, err := New(o, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// records returns n records of hard bounces, named r0, r1 and so on.
func records(t testing.TB, n int) []event.Item {
	t.Helper()
	list := make([]event.Record, n)
	for i := range list {
		list[i] = event.Record{ID: fmt.Sprintf("r%d", i), Source: event.SourceMilter, Kind: dsn.KindDSN, Recipient: classify.Recipient{
			Address: fmt.Sprintf("u%d@example.com", i), Action: dsn.ActionFailed, Category: classify.InvalidAddress, Type: classify.Hard}}
	}
	return items(t, list...)
}

func items(t testing.TB, list ...event.Record) []event.Item {
	t.Helper()
	batch := make([]event.Item, len(list))
	for i := range list {
		var err error
		if batch[i], err = event.NewItem(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return batch
}

func names(batch []event.Item) []string {
	var ids []string
	for _, item := range batch {
		ids = append(ids, item.ID)
	}
	return ids
}

// native returns a receiver and a sink for it.
func native(t testing.TB) (*receiver.Native, *Sink) {
	t.Helper()
	const secret = "whsec_c2VjcmV0IG9mIHR3ZW50eS1mb3VyIG9jdGV0cw=="
	r, err := receiver.NewNative(secret)
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.URL, o.SecretFile = serve(t, r)+"/hooks?token=t0ken-in-query", secretFile(t, secret+"\n")
	return r, newSink(t, o)
}

// After a temporary failure records are sent again, and none is lost, whatever the receiver
// does.
func TestFaults(t *testing.T) {
	for i, fault := range receiver.Faults() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			r, s := native(t)
			s.timeout = time.Second
			r.FailWith(func(int) receiver.Fault { return fault })
			batch := records(t, 3)
			sent, err := s.Send(t.Context(), batch)
			if err == nil || sent.Done != 0 || len(sent.Refused) != 0 {
				t.Fatalf("Send() = %+v, %v; want nothing done and an error", sent, err)
			}
			if text := err.Error(); len(text) > 500 || strings.ContainsAny(text, "\n\x1b\x00") || strings.Contains(text, "t0ken") {
				t.Errorf("the error is %q", text)
			}
			s.timeout = time.Minute
			r.FailWith(nil)
			if sent, err = s.Send(t.Context(), batch); err != nil || sent.Done != 3 {
				t.Fatalf("sent again: %+v, %v", sent, err)
			}
			if got := r.IDs(); !slices.Equal(got, names(batch)) {
				t.Errorf("the receiver has %v", got)
			}
			if p := r.Problems(); p != nil {
				t.Errorf("the receiver says %q", p)
			}
		})
	}
}

// Only the status decides, whatever the rest of the answer is.
func TestSuccess(t *testing.T) {
	for name, fault := range map[string]receiver.Fault{
		"204":       receiver.Status(204, ""),
		"202":       receiver.Status(202, ""),
		"huge body": receiver.Huge(200),
		"slow body": receiver.Drip(200),
		"no length": receiver.Raw([]byte("HTTP/1.0 200 Sure\r\n\r\n")),
		"cut body":  receiver.Raw([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := native(t)
			r.FailWith(func(int) receiver.Fault { return fault })
			if sent, err := s.Send(t.Context(), records(t, 2)); err != nil || sent.Done != 2 || r.Requests() != 1 {
				t.Errorf("Send() = %+v, %v after %d requests", sent, err, r.Requests())
			}
		})
	}
}

// TestAnswers checks whether records are sent again after each answer, and when.
func TestAnswers(t *testing.T) {
	const later = 7 * time.Second
	for code, want := range map[int]string{
		101: "again", 300: "again", 304: "again", 407: "later", 408: "later", 425: "later", 429: "later", 500: "later", 502: "later",
		503: "later", 504: "later", 599: "later", 400: "never", 401: "never", 402: "never", 403: "never", 404: "never",
		405: "never", 409: "never", 410: "never", 413: "never", 415: "never", 422: "never", 451: "never",
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			r, s := native(t)
			fault := receiver.Status(code, "7")
			if code < 400 {
				fault = receiver.Raw(fmt.Appendf(nil, "HTTP/1.1 %d \x1b[31mRed\r\nContent-Length: 0\r\n\r\n", code))
			}
			r.FailWith(func(int) receiver.Fault { return fault })
			sent, err := s.Send(t.Context(), records(t, 1))
			var l *event.LaterError
			got := "again"
			switch {
			case err == nil && len(sent.Refused) == 1 && sent.Done == 1:
				got, err = "never", sent.Why[0]
			case errors.As(err, &l) && l.After == later:
				got = "later"
			case err == nil || sent.Done != 0:
				got = fmt.Sprintf("%+v, %v", sent, err)
			}
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if err != nil && (!strings.Contains(err.Error(), fmt.Sprint(code)) || strings.Contains(err.Error(), "t0ken")) {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// TestUnreachable checks the errors if there is no answer: they are short and contain no
// secret.
func TestUnreachable(t *testing.T) {
	o := DefaultOptions()
	o.URL = serve(t, http.NotFoundHandler()) + "/hooks?token=t0ken"
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, tt := range map[string]struct{ url, want string }{
		"nobody listens": {closed.URL, "connection refused"},
		"no such host":   {"http://nobody.invalid/?token=t0ken", "nobody.invalid"},
		"no TLS":         {"https" + strings.TrimPrefix(o.URL, "http"), "tls: first record"},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.URL = tt.url
			sent, err := newSink(t, o).Send(t.Context(), records(t, 1))
			if err == nil || sent.Done != 0 || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "t0ken") {
				t.Errorf("Send() = %+v, %v; want an error with %q", sent, err, tt.want)
			}
		})
	}
}

// When the context ends, Send stops at once and returns the context's error.
func TestStopped(t *testing.T) {
	r, s := native(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.FailWith(func(int) receiver.Fault { cancel(); return receiver.Hang() })
	sent, err := s.Send(ctx, records(t, 3))
	if !errors.Is(err, context.Canceled) || sent.Done != 0 {
		t.Errorf("Send() = %+v, %v", sent, err)
	}
}

// If a receiver sends our secrets back, errors do not contain them.
func TestSecretsStaySecret(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		said := r.Header.Get("Authorization")
		if said == "" { // as a receiver that quotes the key it verifies with
			said = "secret-of-native-hooks-00"
		}
		fmt.Fprintf(w, "no: %s %s %s", said, r.URL, r.URL.Query().Get("key"))
	}
	for _, format := range Formats {
		o := DefaultOptions()
		o.Format, o.URL, o.SecretFile = format, serve(t, http.HandlerFunc(echo))+"/x?key=va%2Flue-of-it&b", secretFile(t, "bounces:t0ken-0f-the-user")
		if format == FormatNative {
			o.SecretFile = secretFile(t, "secret-of-native-hooks-00")
		}
		sent, err := newSink(t, o).Send(t.Context(), records(t, 1))
		if err != nil || len(sent.Why) != 1 {
			t.Fatalf("Send() = %+v, %v", sent, err)
		}
		text := sent.Why[0].Error()
		for _, secret := range []string{"t0ken", "secret-of", "lue-of-it"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q shows %q", format, text, secret)
			}
		}
		if !strings.Contains(text, "403 Forbidden") {
			t.Errorf("%s: %q does not say why", format, text)
		}
	}
}

// TestRedirects checks that redirects are followed if they keep the POST and the host, and
// that errors about others say where they point.
func TestRedirects(t *testing.T) {
	for name, tt := range map[string]struct {
		fault receiver.Fault
		want  string // text of the error, "" if it is followed
	}{
		"307, path":      {receiver.Redirect(307, "/elsewhere?token=t0ken"), ""},
		"308, path":      {receiver.Redirect(308, "elsewhere"), ""},
		"302":            {receiver.Redirect(302, "/login?next=t0ken"), "/login, which a POST may not follow"},
		"301":            {receiver.Redirect(301, "/hooks/"), "/hooks/, which a POST may not follow"},
		"303":            {receiver.Redirect(303, "/"), "which a POST may not follow"},
		"308, host":      {receiver.Redirect(308, "http://other.example.net/hooks?x=t0ken"), "another host or scheme, http://other.example.net/hooks"},
		"307, scheme":    {receiver.Redirect(307, "https://127.0.0.1/hooks"), "another host or scheme"},
		"307, user":      {receiver.Redirect(307, "//u:t0ken@127.0.0.1/hooks"), "another host or scheme"},
		"307, file":      {receiver.Redirect(307, "file:///etc/passwd"), "another host or scheme"},
		"307, nowhere":   {receiver.Redirect(307, ""), "does not say where"},
		"307, no URL":    {receiver.Redirect(307, "http://[::1"), "does not say where"},
		"302, no secret": {receiver.Redirect(302, "/p/t0ken-in-query"), "/p/…"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := native(t)
			r.FailWith(func(n int) receiver.Fault {
				if n == 0 {
					return tt.fault
				}
				return receiver.Fault{}
			})
			sent, err := s.Send(t.Context(), records(t, 1))
			switch {
			case tt.want == "" && (err != nil || sent.Done != 1 || len(r.IDs()) != 1):
				t.Errorf("Send() = %+v, %v", sent, err)
			case tt.want != "" && (err == nil || sent.Done != 0 || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "t0ken")):
				t.Errorf("Send() = %+v, %v; want an error with %q", sent, err, tt.want)
			}
		})
	}
	r, s := native(t)
	r.FailWith(func(int) receiver.Fault { return receiver.Redirect(307, "/round") })
	if _, err := s.Send(t.Context(), records(t, 1)); err == nil || !strings.Contains(err.Error(), "circle") || r.Requests() != maxHops+1 {
		t.Errorf("a circle gives %v after %d requests", err, r.Requests())
	}
}

// One connection is used for many requests, even after a refusal with a body.
func TestKeepAlive(t *testing.T) {
	connections := map[string]bool{}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true // one request at a time
		_, _ = io.Copy(io.Discard, r.Body)
		if len(r.Header["Idempotency-Key"]) > 0 {
			t.Error("Idempotency-Key is sent")
		}
		if got := r.UserAgent(); got != "bounce-milter/1.2.3" {
			t.Errorf("User-Agent is %q", got)
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, strings.Repeat("words ", 100))
	})
	o := DefaultOptions()
	o.URL = serve(t, h)
	if sent, err := newSink(t, o).Send(t.Context(), records(t, 8)); err != nil || len(sent.Refused) != 8 {
		t.Errorf("Send() = %+v, %v", sent, err)
	}
	if len(connections) != 1 {
		t.Errorf("%d connections", len(connections))
	}
}
