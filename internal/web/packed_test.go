package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPacked(t *testing.T) {
	text := strings.Repeat("bounce_milter_sessions 1\n", 100)
	for _, tt := range []struct {
		accept []string
		code   int
		want   bool
	}{
		{nil, 200, false},
		{[]string{""}, 200, false},
		{[]string{"gzip"}, 200, true},
		{[]string{"zstd, GZIP;q=0.5"}, 200, true},
		{[]string{"deflate", "gzip"}, 200, true},
		{[]string{"gzip;q=0"}, 200, false},
		{[]string{"gzip; q=0.000, deflate"}, 200, false},
		{[]string{"gzip;q=much"}, 200, false},
		{[]string{"identity"}, 200, false},
		{[]string{"gzip"}, 500, false},
	} {
		h := Packed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header["Accept-Encoding"]) > 0 {
				t.Error("the handler is asked to pack")
			}
			w.Header().Set("Content-Type", "text/plain")
			if tt.code != 200 {
				http.Error(w, text, tt.code)
				return
			}
			io.WriteString(w, text)
		}))
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header["Accept-Encoding"] = tt.accept
		for range 2 { // a packer is used again
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var body io.Reader = w.Body
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != tt.want {
				t.Fatalf("%q: packed is %t, want %t", tt.accept, got, tt.want)
			} else if got {
				var err error
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			got, err := io.ReadAll(body)
			if err != nil || strings.TrimSpace(string(got)) != strings.TrimSpace(text) || w.Code != tt.code ||
				w.Header().Get("Vary") != "Accept-Encoding" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Errorf("%q: %d, %d octets, %v, %v", tt.accept, w.Code, len(got), w.Header(), err)
			}
		}
		if r.Header["Accept-Encoding"] == nil && tt.accept != nil {
			t.Error("the request was changed")
		}
	}
}
