// Command image writes an image of bounce-milter without a base, a registry or a container
// engine:
//
//	image -out FILE -version VERSION -arch ARCH -program FILE -config FILE -licenses FOLDER
//
// The archive is an OCI layout, and has what docker load of any version reads besides. The
// same input and SOURCE_DATE_EPOCH give the same octets.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is who the program runs as in the image. It is no user of the host's.
const user = 10001

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run() error {
	out := flag.String("out", "", "the archive to write")
	version := flag.String("version", "", "the version of the program")
	arch := flag.String("arch", "amd64", "the architecture of the program")
	program := flag.String("program", "", "the program")
	config := flag.String("config", "", "the configuration in the image")
	licenses := flag.String("licenses", "", "the folder of licences")
	flag.Parse()
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	b := builder{version: *version, time: time.Unix(epoch, 0).UTC()}
	files, err := contents(*program, *config, *licenses)
	if err != nil {
		return err
	}
	image, err := b.image(*arch, files)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := b.layout(dir, *arch, image); err != nil {
		return err
	}
	return b.archive(dir, *out)
}

// file is a file of the image; a path that ends in a slash is a folder.
type file struct {
	path string
	mode int64
	own  bool // the user's
	data []byte
}

// contents returns what is in the image.
func contents(program, config, licenses string) ([]file, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue // a file of certificates cannot say it
		}
		if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	files := []file{
		{path: "usr/bin/bounce-milter", mode: 0o755, data: binary},
		{path: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil, "bounce-milter:x:%d:%[1]d::/:/\n", user)},
		{path: "etc/group", mode: 0o644, data: fmt.Appendf(nil, "bounce-milter:x:%d:\n", user)},
		{path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: roots.Bytes()},
		{path: "etc/bounce-milter/config.toml", mode: 0o644, data: text},
		{path: "etc/bounce-milter/rules.d/", mode: 0o755},
		{path: "run/bounce-milter/", mode: 0o755, own: true},
		{path: "var/lib/bounce-milter/", mode: 0o700, own: true},
		{path: "var/log/bounce-milter/", mode: 0o750, own: true},
	}
	err = filepath.WalkDir(licenses, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, e := filepath.Rel(licenses, path)
		files = append(files, file{path: "usr/share/doc/bounce-milter/licenses/" + name, mode: 0o644, data: data})
		return errors.Join(err, e)
	})
	return files, err
}

type builder struct {
	version string
	time    time.Time
}

// image makes an image of a single layer.
func (b *builder) image(arch string, files []file) (v1.Image, error) {
	layer, err := b.layer(files)
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: b.time}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer,
		History: v1.History{Created: created, CreatedBy: "bounce-milter " + b.version}})
	if err != nil {
		return nil, err
	}
	cfg, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Created = "linux", arch, created
	cfg.Config = v1.Config{
		User:         fmt.Sprintf("%d:%[1]d", user),
		Entrypoint:   []string{"/usr/bin/bounce-milter"},
		Cmd:          []string{"serve"},
		Env:          []string{"PATH=/usr/bin"},
		WorkingDir:   "/",
		ExposedPorts: map[string]struct{}{"8894/tcp": {}, "9894/tcp": {}},
		StopSignal:   "SIGTERM",
		// Not of the OCI, but Docker and Podman read it.
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/usr/bin/bounce-milter", "health"},
			Interval: 30 * time.Second, Timeout: 5 * time.Second, StartPeriod: 10 * time.Second, Retries: 3},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "bounce-milter",
			"org.opencontainers.image.description": "names, tags and counts bounces",
			"org.opencontainers.image.version":     b.version,
			"org.opencontainers.image.licenses":    "MIT",
			"org.opencontainers.image.source":      "https://github.com/bounce-milter/bounce-milter",
		},
	}
	return mutate.ConfigFile(image, cfg)
}

// layer makes a layer of files, and of the folders above them.
func (b *builder) layer(files []file) (v1.Layer, error) {
	have := map[string]bool{}
	for _, f := range files {
		have[f.path] = true
	}
	for _, f := range slices.Clone(files) {
		for dir := filepath.Dir(strings.TrimSuffix(f.path, "/")); dir != "."; dir = filepath.Dir(dir) {
			if !have[dir+"/"] {
				have[dir+"/"] = true
				files = append(files, file{path: dir + "/", mode: 0o755})
			}
		}
	}
	slices.SortFunc(files, func(a, c file) int { return strings.Compare(a.path, c.path) })
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, f := range files {
		h := &tar.Header{Name: f.path, Mode: f.mode, Size: int64(len(f.data)), ModTime: b.time, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if strings.HasSuffix(f.path, "/") {
			h.Typeflag = tar.TypeDir
		}
		if f.own {
			h.Uid, h.Gid = user, user
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

// layout writes an image as an OCI layout, and the file manifest.json, by which docker load
// finds the same files.
func (b *builder) layout(dir, arch string, image v1.Image) error {
	name := "bounce-milter:" + b.version
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: arch},
			Annotations: map[string]string{
				"org.opencontainers.image.ref.name": b.version,
				"io.containerd.image.name":          "docker.io/library/" + name,
			},
		}})
	if _, err := layout.Write(dir, index); err != nil {
		return err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	type entry struct {
		Config           string
		RepoTags, Layers []string
	}
	data, err := json.Marshal([]entry{{blob(manifest.Config.Digest), []string{name}, []string{blob(manifest.Layers[0].Digest)}}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), data, 0o644)
}

// archive writes the files of an OCI layout to a tar archive.
func (b *builder) archive(dir, out string) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		h := &tar.Header{Name: path, Mode: 0o644, ModTime: b.time, Typeflag: tar.TypeReg}
		if d.IsDir() {
			h.Name, h.Mode, h.Typeflag = path+"/", 0o755, tar.TypeDir
			return w.WriteHeader(h)
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		h.Size = int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	return errors.Join(err, w.Close())
}
