package trial

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// The secret is kept in memory that looks like an open file: only root and the daemon's
// own user can read it, at /proc/PID/fd, and it needs no folder.
const memoryName = "bounce-milter-doctor"

// maxSecret bounds what is read of a file that has the name.
const maxSecret = 4 << 10

// maxDaemons is of how many daemons the secrets are looked for, and mostOfOne of how many
// that run as the same user: any user of the host can make memory with the name, and must
// not take all the places.
const (
	maxDaemons = 16
	mostOfOne  = 4
)

// Secret is what a daemon believes doctor by. It is good for one bounce, after which there
// is another one.
type Secret struct {
	config string // the daemon's configuration file
	mu     sync.Mutex
	value  string
	file   *os.File
}

// New makes the secret of a daemon with this configuration file, "" for none.
func New(config string) (*Secret, error) {
	fd, err := unix.MemfdCreate(memoryName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making memory for doctor's secret: %w", err)
	}
	s := &Secret{config: absolute(config), file: os.NewFile(uintptr(fd), memoryName)}
	if err := s.renew(); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

func absolute(config string) string {
	if abs, err := filepath.Abs(config); config != "" && err == nil {
		return abs
	}
	return config
}

func (s *Secret) renew() error {
	value := rand.Text()
	if _, err := s.file.WriteAt([]byte(value+"\n"+s.config+"\n"), 0); err != nil {
		s.value = "" // nobody can know it
		return fmt.Errorf("writing doctor's secret: %w", err)
	}
	s.value = value
	return nil
}

// Proves reports whether a header field's value is the secret. If it is, it never will be
// again.
func (s *Secret) Proves(value []byte) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	given := strings.TrimSpace(string(value[:min(len(value), maxSecret)]))
	if s.value == "" || subtle.ConstantTimeCompare([]byte(given), []byte(s.value)) != 1 {
		return false
	}
	s.renew() // if it fails, no other proof will do
	return true
}

// Close forgets the secret.
func (s *Secret) Close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}

// Daemon is a daemon that runs.
type Daemon struct {
	Secret string
	// Replaced says that its program is not the installed one any more: a package was
	// upgraded, and the daemon was not restarted.
	Replaced bool
}

// Find returns the daemons that run with a configuration file. There are several while one
// is restarted, and none for who may not read their secrets: only root may.
func Find(config string) []Daemon {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	var found []Daemon
	var places places
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || !strings.HasPrefix(to, "/memfd:"+memoryName) {
			continue
		}
		value, of, err := read(link)
		process := filepath.Dir(filepath.Dir(link))
		if err == nil && of == absolute(config) && places.take(owner(process)) {
			program, _ := os.Readlink(filepath.Join(process, "exe"))
			found = append(found, Daemon{value, strings.HasSuffix(program, " (deleted)")})
		}
	}
	return found
}

// places are those that daemons have, by their users.
type places map[uint32]int

func (p *places) take(uid uint32) bool {
	all := 0
	for _, n := range *p {
		all += n
	}
	if all == maxDaemons || (*p)[uid] == mostOfOne {
		return false
	}
	if *p == nil {
		*p = places{}
	}
	(*p)[uid]++
	return true
}

// owner returns the user of a process, by its folder in /proc.
func owner(process string) uint32 {
	var st unix.Stat_t
	if unix.Stat(process, &st) != nil {
		return 0
	}
	return st.Uid
}

func read(name string) (value, config string, err error) {
	// In a namespace of mounts of their own, users can give the name to a pipe, which blocks.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", "", errors.New("it is no memory")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", "", err
	}
	value, config, ok := strings.Cut(string(data), "\n")
	config, _, whole := strings.Cut(config, "\n")
	// What goes into a header field must be a word.
	if !ok || !whole || value == "" || strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return "", "", errors.New("it holds no secret")
	}
	return value, config, nil
}
