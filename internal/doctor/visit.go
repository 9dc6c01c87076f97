package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/emersion/go-milter"
	"golang.org/x/sys/unix"
)

// visitor is a mail server as the daemon sees it: who connects, from where, to what.
type visitor struct {
	user             string // "" for root
	chroot           string // "" for none
	network, address string // of the milter
}

// dial connects as the visitor would. Only root can; others connect as themselves.
func (v *visitor) dial() (net.Conn, error) {
	if v.network != "unix" || os.Geteuid() != 0 || v.user == "" && v.chroot == "" {
		return net.DialTimeout(v.network, v.address, patience)
	}
	uid, gid, groups, err := idsOf(v.user)
	if err != nil {
		return nil, err
	}
	type answer struct {
		conn net.Conn
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		// The thread is never unlocked, and so ends with the goroutine: nothing else ever
		// runs with what is changed here.
		runtime.LockOSThread()
		conn, err := v.become(uid, gid, groups)
		done <- answer{conn, err}
	}()
	a := <-done
	return a.conn, a.err
}

// become makes this thread the visitor, for good, and connects.
func (v *visitor) become(uid, gid int, groups []int) (net.Conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), v.address)
	defer f.Close()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, &foreignError{fmt.Errorf("leaving the shared root: %w", err)}
	}
	if v.chroot != "" {
		if err := unix.Chroot(v.chroot); err != nil {
			return nil, &foreignError{fmt.Errorf("chroot to %s: %w", v.chroot, err)}
		}
		if err := unix.Chdir("/"); err != nil {
			return nil, &foreignError{err}
		}
	}
	if err := dropTo(uid, gid, groups); err != nil {
		return nil, &foreignError{fmt.Errorf("becoming %s: %w", v.user, err)}
	}
	address := v.address
	if v.chroot != "" {
		address = filepath.Clean("/" + address)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// foreignError says why a connection could not be tried.
type foreignError struct{ error }

// idsOf returns the user and group numbers of a server that runs as a user.
func idsOf(name string) (uid, gid int, groups []int, err error) {
	if name == "" {
		return 0, 0, nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, nil, &foreignError{err}
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	ids, err := u.GroupIds()
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			groups = append(groups, n)
		}
	}
	return uid, gid, groups, err
}

// visit tries a connection, and says why it fails.
func (r *report) visit(v *visitor) {
	const check = "socket"
	conn, err := v.dial()
	where := v.network + ":" + v.address
	if v.chroot != "" {
		where += " in " + v.chroot
	}
	who := "the mail server"
	if v.user != "" {
		who = "the user " + v.user
	}
	var foreign *foreignError
	switch {
	case err == nil:
	case errors.As(err, &foreign):
		r.add(check, Unknown, nil, "it could not be tried whether %s reaches %s: %v", who, where, err)
		return
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		r.add(check, Unknown, []string{"sudo bounce-milter doctor"}, "only root can try whether %s reaches %s", who, where)
		return
	case errors.Is(err, fs.ErrPermission):
		why, mend := r.barrier(v)
		r.wrong(check, mend, "%s may not connect to %s: %s", who, where, why)
		return
	default:
		if pe := (*net.OpError)(nil); errors.As(err, &pe) {
			err = pe.Err
		}
		r.wrong(check, []string{"sudo systemctl restart bounce-milter", "journalctl -u bounce-milter -n 20"},
			"nobody answers at %s: %v", where, err)
		return
	}
	if err := greet(conn); err != nil {
		r.wrong(check, nil, "what answers at %s is no milter: %v", where, err)
		return
	}
	r.good(check, "%s reaches a milter at %s", who, where)
}

// handed is a dialer that returns a connection that is open already.
type handed struct{ net.Conn }

func (h handed) Dial(string, string) (net.Conn, error) { return h.Conn, nil }

// session begins a session as a mail server does.
func session(conn net.Conn) (*milter.ClientSession, error) {
	c := milter.NewClientWithOptions(conn.RemoteAddr().Network(), "", milter.ClientOptions{
		Dialer: handed{conn}, ReadTimeout: patience, WriteTimeout: patience,
		ActionMask: milter.OptAddHeader | milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt | milter.OptChangeHeader | milter.OptQuarantine,
	})
	s, err := c.Session()
	if err != nil {
		conn.Close()
	}
	return s, err
}

func greet(conn net.Conn) error {
	s, err := session(conn)
	if err != nil {
		return err
	}
	return s.Close()
}

// barrier says which folder or socket keeps a visitor out.
func (r *report) barrier(v *visitor) (why string, mend []string) {
	uid, gid, groups, err := idsOf(v.user)
	if err != nil {
		return err.Error(), nil
	}
	groups = append(groups, gid)
	path := filepath.Join(v.chroot, v.address)
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		at := path[:i]
		info, err := os.Stat(at)
		if err != nil {
			return err.Error(), nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		want, what := fs.FileMode(1), "folder"
		if i == len(path) {
			want, what = 2, "socket"
		}
		mode := info.Mode().Perm()
		switch {
		case int(st.Uid) == uid:
			mode >>= 6
		case slices.Contains(groups, int(st.Gid)):
			mode >>= 3
		}
		if mode&want != 0 {
			continue
		}
		group := strconv.Itoa(int(st.Gid))
		if g, err := user.LookupGroupId(group); err == nil {
			group = g.Name
		}
		why = fmt.Sprintf("the %s %s belongs to the group %s and has the mode %04o", what, at, group, info.Mode().Perm())
		if want == 1 {
			return why, []string{"sudo chgrp " + quote(groupOf(gid), at) + " && sudo chmod g+x " + quote(at)}
		}
		return why, []string{"sudoedit " + quote(r.configFile()) + ` # socket_group = "` + groupOf(gid) + `" and socket_mode = "0660"`,
			"sudo systemctl restart bounce-milter"}
	}
	return "it is refused", nil
}

func groupOf(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}
