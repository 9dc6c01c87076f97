package milter

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// metricsName is the FileDescriptorName of sockets from systemd that serve
// metrics; all others serve milters.
const metricsName = "metrics"

// ErrInUse means that another process serves a unix socket.
var ErrInUse = errors.New("another process serves it")

// inherited returns the sockets that systemd passed to us, with their names. They stay
// open for the life of the process and copies of them are served, because one reload
// may give a socket up and a later one may want it back.
var inherited = sync.OnceValue(func() []*os.File { return activation.Files(true) })

// The keys of the configuration that name the daemon's sockets.
const (
	listenKey  = "listen"
	metricsKey = "metrics.listen"
)

// Listen opens a socket for metrics of another program than the daemon. key is the key of
// the configuration that names the socket.
func Listen(spec Socket, key string) ([]net.Listener, error) { return open(spec, key, 0o660, "") }

// open opens the socket that a key names. It returns one listener, or for systemd all
// sockets of that name.
func open(spec Socket, key string, mode fs.FileMode, group string) ([]net.Listener, error) {
	var ln net.Listener
	var err error
	switch spec.Network {
	case Systemd:
		return openInherited(spec, key != listenKey)
	case "unix":
		ln, err = openUnix(spec.Address, mode, group)
	default:
		ln, err = net.Listen(spec.Network, spec.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w%s", spec, bare(err), openMend(spec, key, err))
	}
	return []net.Listener{ln}, nil
}

// openMend says what to do about a socket that cannot be opened, "" if the reason says
// it all.
func openMend(spec Socket, key string, err error) string {
	_, port, _ := net.SplitHostPort(spec.Address)
	n, _ := strconv.Atoi(port)
	switch {
	case errors.Is(err, ErrInUse):
		return fmt.Sprintf(": end that process (sudo ss -lxp src %s shows it), or name another path in %s", spec.Address, key)
	case errors.Is(err, syscall.EADDRINUSE) && port != "":
		return fmt.Sprintf(": end the program that has the port (sudo ss -ltnp 'sport = :%s' shows it), or name another port in %s", port, key)
	case errors.Is(err, syscall.EACCES) && n > 0 && n < 1024:
		return fmt.Sprintf(": ports below 1024 are for root alone: name a higher one in %s, or let systemd open it", key)
	}
	return ""
}

// bare returns the cause of a [net.OpError], without the address, which messages name
// already.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
		var sys *os.SyscallError
		if errors.As(err, &sys) {
			return sys.Err
		}
	}
	return err
}

func openInherited(spec Socket, forMetrics bool) ([]net.Listener, error) {
	var lns []net.Listener
	for _, f := range inherited() {
		name := f.Name()
		if name != spec.Address && (spec.Address != "" || (name == metricsName) != forMetrics) {
			continue
		}
		ln, err := net.FileListener(f)
		if err != nil {
			closeAll(lns)
			return nil, fmt.Errorf("taking socket %s from systemd: %w", name, err)
		}
		lns = append(lns, ln)
	}
	if len(lns) == 0 {
		return nil, fmt.Errorf("listening on %s: systemd passed no such socket", spec)
	}
	return lns, nil
}

// unixListener removes its socket file when closed, if the file is still its own.
type unixListener struct {
	net.Listener
	path string
	file os.FileInfo
}

// Addr returns the path that peers use, not the temporary one of openUnix.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l *unixListener) Close() error {
	err := l.Listener.Close()
	if now, e := os.Lstat(l.path); e == nil && os.SameFile(now, l.file) {
		os.Remove(l.path)
	}
	return err
}

// vanished reports whether a unix socket's file is gone or belongs to another socket,
// so that no new peer can reach this one.
func (l *unixListener) vanished() bool {
	now, err := os.Lstat(l.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, l.file)
}

// vanished reports whether nobody can reach a socket: it could not be opened, or its
// file is gone.
func vanished(lns []net.Listener) bool {
	return len(lns) == 0 || slices.ContainsFunc(lns, func(ln net.Listener) bool {
		u, ok := ln.(*unixListener)
		return ok && u.vanished()
	})
}

// maxUnixPath is the size of sun_path in sockaddr_un on Linux, without the NUL.
const maxUnixPath = 107

// openUnix listens on a unix socket with the given mode and group. It replaces a stale
// socket file, but not one that a process serves.
func openUnix(path string, mode fs.FileMode, group string) (net.Listener, error) {
	if strings.HasPrefix(path, "@") {
		return net.Listen("unix", path)
	}
	folder, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if err := checkStale(path); err != nil {
		return nil, err
	}
	// The socket is made under a temporary name and renamed when mode and group
	// are set: nobody can connect before that, and the path always has a socket.
	name := ".bm-" + strconv.Itoa(os.Getpid())
	tmp := filepath.Join(filepath.Dir(path), name)
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	bind := tmp
	if len(bind) > maxUnixPath && folder != nil { // path itself is short enough: go through the open folder
		bind = fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), name)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: bind, Net: "unix"})
	if err != nil {
		return nil, bare(err)
	}
	ln.SetUnlinkOnClose(false)
	info, err := settle(tmp, path, mode, group)
	if err != nil {
		ln.Close()
		os.Remove(tmp)
		return nil, err
	}
	return &unixListener{ln, path, info}, nil
}

// lockFolder opens and locks a folder. Until it is closed, no other process of this
// program makes sockets in it; otherwise two that start at once could both find a name
// free, and one would be left with a socket that nobody can reach. It waits for the lock
// a second at most and then goes on without it, so that somebody else's lock does not
// keep mail from being served.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil // we may still be allowed to write there; closing a nil File is harmless
	}
	if err != nil {
		return nil, fmt.Errorf("no folder for it: %w", err)
	}
	for end := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(end) {
			return f, nil
		}
	}
}

func settle(tmp, path string, mode fs.FileMode, group string) (os.FileInfo, error) {
	if err := setRights(tmp, mode, group); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, path); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// checkStale returns nil if there is no file at path, or a socket that nobody serves.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errors.New("a file that is not a socket has this name")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return ErrInUse
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if isTimeout(err) || errors.Is(err, syscall.EAGAIN) {
		return ErrInUse // its backlog is full
	}
	return bare(err)
}
