package web

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// packer packs an answer once it is whole. It is reused, since it takes far more memory than
// what comes out.
type packer struct {
	whole response
	gzip  *gzip.Writer
}

var packers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // there is such a level
	}
	return &packer{gzip: z}
}}

// Packed packs what h answers, if the reader takes gzip (RFC 9110 section 12.5.3). It packs
// as fast as it can: the packer of promhttp takes several times as long to make a page of
// metrics a tenth smaller, and readers of metrics come again and again.
func Packed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		packs := takesGzip(r.Header)
		r = r.Clone(r.Context())
		r.Header.Del("Accept-Encoding") // h is not to pack
		p := packers.Get().(*packer)
		defer packers.Put(p)
		p.whole.header, p.whole.code = w.Header(), http.StatusOK
		p.whole.body.Reset()
		h.ServeHTTP(&p.whole, r)
		p.whole.header = nil
		w.Header().Set("Vary", "Accept-Encoding") // promhttp says so itself
		if !packs || p.whole.code != http.StatusOK {
			w.WriteHeader(p.whole.code)
			_, _ = w.Write(p.whole.body.Bytes()) // a client that did not get it will ask again
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		p.gzip.Reset(w)
		_, _ = p.gzip.Write(p.whole.body.Bytes())
		_ = p.gzip.Close()
	})
}

// takesGzip reports whether a request allows gzip by name.
func takesGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h["Accept-Encoding"], ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, given := strings.Cut(weight, "=")
		if !given {
			return true
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return err == nil && v > 0
	}
	return false
}
