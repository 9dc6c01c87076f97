// Package install tests packages, units and the image where they are used: in a fresh
// Debian with systemd, which runs in a container (systemd-nspawn) without a network but
// loopback. Each machine is a layer over one root that debootstrap makes.
package install

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"golang.org/x/sys/unix"
)

// atHand are packages that a test can install on a machine when it wants, without a network.
const atHand = "postfix"

// preinstalled are the packages of every machine beyond the smallest Debian.
const preinstalled = "systemd-sysv,dbus,adduser,procps,make,ca-certificates,sudo,curl,jq,logrotate"

// bootPatience is for machines with more to do than to boot.
const bootPatience = 5 * time.Minute

// baseRoot returns the root of a small Debian 12 with systemd, made by debootstrap and
// kept in the module's bin folder, which make clean empties.
func baseRoot() (string, error) {
	module, err := lab.ModuleRoot()
	if err != nil {
		return "", err
	}
	// With another list of packages it is another root.
	dir := filepath.Join(module, "bin", "lab", fmt.Sprintf("debian-12-%08x", crc32.ChecksumIEEE([]byte(preinstalled+" "+atHand))))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp := dir + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		// In mounts of its own, which end with it: a /proc that an interrupted one leaves
		// in the folder could not be removed.
		{"unshare", "--mount", "debootstrap", "--variant=minbase", "--include=" + preinstalled, "bookworm", tmp},
		{"cp", "/etc/resolv.conf", tmp + "/etc/resolv.conf"},
		{"chroot", tmp, "apt-get", "install", "-q", "-y", "--no-install-recommends", "--download-only", atHand},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("making a fresh Debian: %s: %w\n%s", args[0], err, out)
		}
	}
	return dir, os.Rename(tmp, dir)
}

// machine is a Debian that runs.
type machine struct {
	t      *testing.T
	root   string // its file system
	leader string // its first process, as a number
}

// fresh lays a writable layer over the fresh Debian and returns its root. size bounds what
// can be written, as tmpfs has it ("64m"); "" leaves that to the disk.
func fresh(t *testing.T, size string) string {
	t.Helper()
	base, err := baseRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	if size == "" && disk.Type == unix.OVERLAYFS_SUPER_MAGIC {
		size = "2g" // in a container: a layer cannot lie on another
	}
	if size != "" {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+size); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	for _, d := range []string{"root", "new", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	layers := "lowerdir=" + base + ",upperdir=" + dir + "/new,workdir=" + dir + "/work"
	if err := syscall.Mount("overlay", root, "overlay", 0, layers); err != nil {
		t.Fatalf("laying a machine over the fresh Debian: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(root, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return root
}

// boot starts a machine on a fresh root; binds are folders of ours that it sees at the same
// path, or options of systemd-nspawn.
func boot(t *testing.T, root string, binds ...string) *machine {
	t.Helper()
	m := &machine{t: t, root: root}
	args := []string{"-q", "-D", m.root, "--register=no", "--keep-unit", "--private-network", "--link-journal=no",
		"--machine=" + strings.ToLower(t.Name()), "--console=pipe", "--hostname=mx.lab.test"}
	for _, b := range binds {
		if !strings.HasPrefix(b, "--") {
			b = "--bind-ro=" + b
		}
		args = append(args, b)
	}
	cmd := exec.Command("systemd-nspawn", append(args, "-b")...)
	var console lockedBuffer
	cmd.Stdout, cmd.Stderr = &console, &console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		if m.leader != "" {
			exec.Command("kill", "-KILL", m.leader).Run() // the first process takes all others with it
		}
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("console of the machine:\n%s", console.String())
		}
	})
	err := lab.UntilIn(bootPatience, "the machine to boot", func() (bool, error) {
		select {
		case <-ended:
			return false, lab.Never(errors.New("systemd-nspawn ended"))
		default:
		}
		if m.leader = leaderOf(cmd.Process.Pid); m.leader == "" {
			return false, nil
		}
		state, _ := m.try("systemctl", "is-system-running")
		state = strings.TrimSpace(state)
		return state == "running" || state == "degraded", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// try runs a command on the machine and returns what it printed.
func (m *machine) try(command ...string) (string, error) {
	args := append([]string{"-t", m.leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}, command...)
	out, err := exec.Command("nsenter", args...).CombinedOutput()
	return string(out), err
}

// run is try for a command that must succeed.
func (m *machine) run(command ...string) string {
	m.t.Helper()
	out, err := m.try(command...)
	if err != nil {
		journal, _ := m.try("journalctl", "-q", "-n", "20")
		m.t.Fatalf("%s: %v\n%s\n%s", strings.Join(command, " "), err, out, journal)
	}
	return out
}

// put copies a file of ours to the machine's folder /root and returns its path there.
func (m *machine) put(file string) string {
	m.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.write("/root/"+filepath.Base(file), string(data))
}

// write writes a file on the machine.
func (m *machine) write(path, text string) string {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.root+path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.root+path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// read reads a file of the machine, "" if there is none.
func (m *machine) read(path string) string {
	m.t.Helper()
	data, err := os.ReadFile(m.root + path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(data)
}

// inside runs f on a thread in the network of a process. What f connects stays connected.
func inside(process string, f func() error) error {
	done := make(chan error)
	go func() {
		// The thread must not end, because the processes that it has started would end with
		// it (Pdeathsig). So it comes back.
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		ns, err := os.Open("/proc/" + process + "/ns/net")
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			done <- errors.Join(err, fmt.Errorf("coming back: %w", back))
			select {} // in no place where others may run
		}
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}

// dial opens an SMTP session with the machine's Postfix.
func (m *machine) dial() *lab.SMTP {
	m.t.Helper()
	var c *lab.SMTP
	err := inside(m.leader, func() (err error) {
		c, err = lab.DialSMTP(net.JoinHostPort("127.0.0.1", "25"))
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { c.Close() })
	return c
}

// property returns a property of the daemon's unit.
func (m *machine) property(name string) string {
	m.t.Helper()
	return strings.TrimSpace(m.run("systemctl", "show", "--value", "-p", name, "bounce-milter.service"))
}

// leaderOf returns the process, as a number, that a container's program started as the first
// one of the container; "" while there is none. What helps to set a container up, as
// systemd-nspawn's first child does, is still outside: asked there, systemctl would speak
// of this machine.
func leaderOf(process int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", process))
	for _, child := range strings.Fields(string(data)) {
		status, _ := os.ReadFile("/proc/" + child + "/status")
		// Its numbers here, and in each namespace of processes that it is in (proc(5)).
		_, ids, _ := strings.Cut(string(status), "\nNSpid:")
		ids, _, _ = strings.Cut(ids, "\n")
		if f := strings.Fields(ids); len(f) > 1 && f[len(f)-1] == "1" {
			return child
		}
	}
	return ""
}

// lockedBuffer keeps what a process prints while a test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
