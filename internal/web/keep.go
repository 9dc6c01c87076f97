package web

import (
	"crypto/tls"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
)

// fileState says whether the toolkit takes its file as it is now. The toolkit reads the file
// for each request, and answers nobody once something in it is wrong. We go on as before
// then, as after any other configuration that is refused.
type fileState struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	files []string // it, and those that it names
	seen  []os.FileInfo
	wrong error // what the toolkit said of them as they were seen
}

func newFileState(path string, log *slog.Logger) *fileState {
	f := &fileState{path: path, log: log}
	f.read()
	return f
}

// isGood looks into the files if they have changed.
func (f *fileState) isGood() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.EqualFunc(f.seen, look(f.files), sameFile) {
		return f.wrong == nil
	}
	before := f.wrong
	f.read()
	switch {
	case f.wrong != nil && before == nil:
		f.log.Error("web_config is wrong: until it is mended, metrics are only for those who could read them before", "file", f.path, "error", f.wrong)
	case f.wrong == nil && before != nil:
		f.log.Info("web_config is right again", "file", f.path)
	}
	return f.wrong == nil
}

func (f *fileState) read() {
	f.files = append([]string{f.path}, namedIn(f.path)...)
	f.seen = look(f.files) // first, so that what changes meanwhile is looked into again
	f.wrong = toolkit.Validate(f.path)
	if why := (Options{ConfigFile: f.path}).Check().Err(); f.wrong != nil && why != nil {
		f.wrong = why // with the line and the mend
	}
}

// look says what files are like, without reading them: nil for one that cannot be found.
func look(paths []string) []os.FileInfo {
	infos := make([]os.FileInfo, len(paths))
	for i, path := range paths {
		infos[i], _ = os.Stat(path) // Validate says why
	}
	return infos
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// namedIn returns the files that a file of the toolkit names.
func namedIn(path string) (files []string) {
	f := configFile{path: path}
	data, err := os.ReadFile(path)
	if err != nil || yaml.Unmarshal(data, &f.doc) != nil {
		return nil
	}
	for _, key := range []string{"cert_file", "key_file", "client_ca_file"} {
		if node, path := f.file(key); node != nil {
			files = append(files, path)
		}
	}
	return files
}

// keepTLS makes a server's certificate and its demands on clients stay what they were last
// while the file is wrong, or says nothing of TLS any more, which takes a reload.
func keepTLS(cfg *tls.Config, file *fileState) {
	var last atomic.Pointer[tls.Config]
	read := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		before := last.Load()
		if before != nil && !file.isGood() {
			return before, nil
		}
		now, err := read(hello)
		var cert *tls.Certificate
		if err == nil {
			cert, err = now.GetCertificate(hello)
		}
		if err != nil && before != nil {
			return before, nil
		}
		if err != nil {
			return nil, err
		}
		// Instead of a function that reads the files again.
		now.Certificates, now.GetCertificate = []tls.Certificate{*cert}, nil
		last.Store(now)
		return now, nil
	}
	_, _ = cfg.GetConfigForClient(nil) // so that there is one to keep; if not, each client is told why
}
