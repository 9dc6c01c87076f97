// Command ready answers as the metrics listener of a daemon does, with pages that it has
// fetched from one at its start: what readers and a web server cost where no page is made.
// Its arguments are the base of the daemon's URLs and an address to listen on.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	if len(args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ready URL ADDRESS")
		return 2
	}
	mux := http.NewServeMux()
	for path, pattern := range map[string]string{"/metrics": "GET /metrics", "/": "GET /{$}"} {
		header, body, err := fetch(args[1] + path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "ready:", err)
			return 1
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"Content-Type", "Content-Encoding"} {
				w.Header().Set(name, header.Get(name))
			}
			_, _ = w.Write(body) // a client that did not get it will ask again
		})
	}
	if err := http.ListenAndServe(args[2], mux); err != nil {
		fmt.Fprintln(os.Stderr, "ready:", err)
		return 1
	}
	return 0
}

// fetch gets a page as readers get it, packed.
func fetch(url string) (http.Header, []byte, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Accept-Encoding", "gzip") // so that it is not unpacked here
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("fetching %s: %s", url, resp.Status)
	}
	return resp.Header, body, err
}
