package milter

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOpenUnix(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.sock")
	ln, err := openUnix(path, 0o617, strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o617 || info.Sys().(*syscall.Stat_t).Gid != uint32(os.Getgid()) {
		t.Errorf("mode %v, group %d", info.Mode(), info.Sys().(*syscall.Stat_t).Gid)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left in the folder: %v", entries)
	}
	if _, err := openUnix(path, 0o660, ""); !errors.Is(err, ErrInUse) {
		t.Errorf("a live socket: %v", err)
	}
	ln.Close()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}

	// The socket that a killed process left is replaced. The new one is not removed by a
	// listener that had the name before.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	ln, err = openUnix(path, 0o660, "")
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("someone else's"), 0o600); err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("someone else's file is gone: %v", err)
	}

	// A path of the maximum length, for which a temporary name would be too long.
	long := filepath.Join(dir, strings.Repeat("d", maxUnixPath-len(dir)-3))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	long = filepath.Join(long, "s")
	if len(long) != maxUnixPath {
		t.Fatalf("%d octets", len(long))
	}
	if ln, err = openUnix(long, 0o660, ""); err != nil {
		t.Fatal(err)
	}
	if nc, err := net.Dial("unix", long); err != nil {
		t.Error(err)
	} else {
		nc.Close()
	}
	ln.Close()

	for _, tt := range []struct{ name, path, group, want string }{
		{"a file", path, "", "a file that is not a socket has this name"},
		{"no folder", filepath.Join(dir, "no", "m.sock"), "", "no folder for it"},
		{"no such group", filepath.Join(dir, "g.sock"), "no-such-group-here", `there is no group "no-such-group-here" on this host: create it, or name another`},
	} {
		if _, err := openUnix(tt.path, 0o660, tt.group); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestSeveralListeners(t *testing.T) {
	more := []Socket{{"tcp", "127.0.0.1:0"}, {"unix", "@bounce-milter-test-" + strconv.Itoa(os.Getpid())}}
	if ln, err := net.Listen("tcp6", "[::1]:0"); err == nil { // containers are often without IPv6
		ln.Close()
		more = append(more, Socket{"tcp6", "[::1]:0"})
	}
	ts := start(t, func(c *Config) {
		c.Listen = append(c.Listen, more...)
		c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	if n := len(ts.Addrs()); n != 1+len(more) {
		t.Fatalf("%d listeners", n)
	}
	for _, a := range ts.Addrs() {
		nc, err := net.Dial(a.Network(), a.String())
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc, offerAll)
		c.expect('c', connectFrame("192.0.2.1"))
		for range 3 {
			if mods := c.message("", "Content-Type: multipart/report", "", "x"); len(mods) != 5 {
				t.Errorf("%v: %v", a, mods)
			}
		}
		nc.Close()
	}
	ts.quiet(t)
}

// If many open the same unix socket at once, exactly one gets it and can be reached by it.
func TestOpenUnixAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	got := make(chan net.Listener, 8)
	for range cap(got) {
		go func() {
			ln, err := openUnix(path, 0o660, "")
			if err != nil && !errors.Is(err, ErrInUse) {
				t.Error(err)
			}
			got <- ln
		}()
	}
	n := 0
	for range cap(got) {
		if ln := <-got; ln != nil {
			defer ln.Close()
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d have it", n)
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	path := filepath.Join(t.TempDir(), "m.sock")
	served, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for spec, want := range map[Socket]string{
		{"tcp", taken.Addr().String()}: "listening on " + (Socket{"tcp", taken.Addr().String()}).String() + ": address already in use: " +
			"end the program that has the port (sudo ss -ltnp 'sport = :" + port + "' shows it), or name another port in listen",
		{"unix", path}:            "another process serves it: end that process (sudo ss -lxp src " + path + " shows it), or name another path in listen",
		{"tcp", "192.0.2.1:8894"}: "cannot assign requested address",
		{"systemd", ""}:           "systemd passed no such socket",
	} {
		if _, err := open(spec, listenKey, 0o660, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", spec, err, want)
		}
	}
}

// TestSystemd runs this test program again as systemd would: with sockets, and
// with a socket to be told on.
func TestSystemd(t *testing.T) {
	if os.Getenv("MILTER_TEST_CHILD") == "1" {
		systemdChild(t)
		return
	}
	dir := t.TempDir()
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	file := func(network, addr string) (*os.File, string) {
		ln, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if u, ok := ln.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		f, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, ln.Addr().String()
	}
	milterFile, milterAddr := file("unix", filepath.Join(dir, "m.sock"))
	metricsFile, metricsAddr := file("tcp", "127.0.0.1:0")

	web := filepath.Join(dir, "web.yml")
	if err := os.WriteFile(web, []byte(webConfig), 0o600); err != nil {
		t.Fatal(err)
	}

	// LISTEN_PID is the child's: a shell knows it before it becomes it.
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run='^TestSystemd$' -test.v`, os.Args[0])
	cmd.Env = append(os.Environ(), "MILTER_TEST_CHILD=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=milter:metrics",
		"NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "MILTER_TEST_WEB="+web, "WATCHDOG_USEC=20000")
	cmd.ExtraFiles = []*os.File{milterFile, metricsFile}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	var heard []string
	wait := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		told.SetReadDeadline(time.Now().Add(patience))
		for {
			n, err := told.Read(buf)
			if err != nil {
				cmd.Process.Kill()
				<-waited
				t.Fatalf("waiting to be told %q: %v; heard %q\n%s", want, err, heard, out.String())
			}
			heard = append(heard, string(buf[:n]))
			if strings.HasPrefix(string(buf[:n]), want) {
				return
			}
		}
	}
	wait("READY=1")
	wait("WATCHDOG=1")
	ts := &testServer{path: milterAddr}
	goodMessage(t, ts)
	for i := range 4 { // see systemdChild
		cmd.Process.Signal(syscall.SIGHUP)
		wait("RELOADING=1\nMONOTONIC_USEC=")
		wait("READY=1")
		goodMessage(t, ts)
		if i%2 == 1 {
			for password, want := range map[string]int{"": 401, "right": 200} {
				if code, body := asks(t, metricsAddr, "/-/ready", password); code != want {
					t.Errorf("password %q: %d %s", password, code, body)
				}
			}
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	wait("STOPPING=1")
	if err := <-waited; err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
