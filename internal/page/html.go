package page

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"
)

var (
	//go:embed assets/page.html
	pageHTML string
	//go:embed assets/style.css
	styleCSS []byte
	//go:embed assets/icon.svg
	iconSVG []byte
)

// policy lets a browser load nothing but our own style and icon. There is no script.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// templates are parsed when a page is first asked for, since most commands show none.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"n":     number,
		"stamp": stamp,
		"secs":  func(s int64) string { return spoken(time.Duration(s) * time.Second) },
		"for":   func(now, then time.Time) string { return spoken(now.Sub(then)) },
		"times": func(n uint32) string {
			if n == 1 {
				return "once"
			}
			return grouped(uint64(n)) + " times"
		},
		"change": func(c Change) string {
			before := max(c.Before, c.Yesterday)
			switch {
			case c.Now == before:
				return "±0"
			case c.Now < before:
				return "−" + grouped(before-c.Now)
			}
			return "+" + grouped(c.Now-before)
		},
		"before": func(n uint64, complete bool) string {
			switch {
			case complete:
				return grouped(n)
			case n == 0:
				return "–"
			}
			return "≥ " + grouped(n) // only a part of the hour was counted
		},
		"changes": func(caption, what string, colour bool, of Rising, rows []Change) any {
			return struct {
				Caption, What string
				Colour        bool
				Of            Rising
				Rows          []Change
			}{caption, what, colour, of, rows}
		},
		"tabs": func(label string, tabs []tab) any {
			return struct {
				Label string
				Tabs  []tab
			}{label, tabs}
		},
	}).Parse(pageHTML))
})

// number writes any whole number.
func number(v any) string {
	switch v := v.(type) {
	case uint64:
		return grouped(v)
	case int64:
		return grouped(uint64(max(v, 0)))
	case int:
		return grouped(uint64(max(v, 0)))
	}
	return fmt.Sprint(v)
}

// Home serves the status page, for /.
func (b *Board) Home() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		window, every := spanOf(r.URL.Query().Get("window")), r.URL.Query().Get("every") == "60"
		data, err := b.made(fmt.Sprint(window, every), func(s *Summary) ([]byte, error) {
			return render("status", newView(s, window, every))
		})
		if every && err == nil {
			// The page reloads itself only for readers who ask for it (WCAG 2.2.1).
			w.Header().Set("Refresh", "60")
		}
		answer(w, "text/html; charset=utf-8", data, err)
	})
}

// Files serves what Home links to, for paths below /page/.
func (b *Board) Files() http.Handler {
	mux := http.NewServeMux()
	file := func(path, kind string, data []byte) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			secure(w, kind)
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(data) // a client that did not get it will ask again
		})
	}
	file("/page/style.css", "text/css; charset=utf-8", styleCSS)
	file("/page/icon.svg", "image/svg+xml", iconSVG)
	mux.HandleFunc("/page/words", func(w http.ResponseWriter, _ *http.Request) {
		data, err := render("words", b.wordPage())
		answer(w, "text/html; charset=utf-8", data, err)
	})
	return mux
}

// JSON serves the summary, for /api/v1/summary.
func (b *Board) JSON() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		data, err := b.made("json", func(s *Summary) ([]byte, error) {
			data, err := json.MarshalIndent(s, "", " ")
			return append(data, '\n'), err
		})
		answer(w, "application/json", data, err)
	})
}

// made returns a page made of the summary. It is made once for each summary, however many
// readers ask.
func (b *Board) made(form string, make func(*Summary) ([]byte, error)) ([]byte, error) {
	s := b.Summary()
	b.cache.Lock()
	defer b.cache.Unlock()
	if data := b.cache.made[form]; data != nil && b.cache.summary == s {
		return data, nil
	}
	data, err := make(s)
	if err == nil && b.cache.summary == s {
		b.cache.made[form] = data
	}
	return data, err
}

func render(name string, v any) ([]byte, error) {
	var out bytes.Buffer
	err := templates().ExecuteTemplate(&out, name, v)
	return out.Bytes(), err
}

// answer sends a page that is complete.
func answer(w http.ResponseWriter, kind string, data []byte, err error) {
	secure(w, kind)
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		secure(w, "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		data = []byte("this page cannot be made\n")
	}
	_, _ = w.Write(data) // a client that did not get it will ask again
}

func secure(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
}
