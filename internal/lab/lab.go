// Package lab starts real mail servers around the real bounce-milter, for the
// end-to-end tests, the demonstration, the soak and the benchmarks: a private
// Postfix and a private Sendmail in a temporary folder, the milters, filters and
// delivery agents beside them, a remote SMTP server that refuses what it is told
// to refuse, an SMTP client, a Maildir reader and a reader of the daemon's metrics.
//
// Everything is in one temporary folder and on free loopback ports that are chosen
// at run time; the machine's own mail system is not touched. Postfix needs root to
// start, and Sendmail a private mount namespace. Nothing here sleeps and hopes: every
// wait is for a condition, with a deadline.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Patience bounds every wait that has no bound of its own. It is long because
// a busy machine must not fail a test; a wait that succeeds never takes it.
const Patience = 3 * time.Minute

// Lab is one temporary folder and what runs in it.
type Lab struct {
	// Dir is the folder: short, since unix socket paths are, and readable by
	// the users that Postfix switches to.
	Dir string

	mu      sync.Mutex
	cleanup []func()
}

// New makes an empty Lab. Close ends and removes everything in it.
func New() (*Lab, error) {
	dir, err := os.MkdirTemp("", "bmlab")
	if err != nil {
		return nil, fmt.Errorf("making the lab's folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the lab's folder to Postfix: %w", err)
	}
	l := &Lab{Dir: dir}
	l.Defer(func() { os.RemoveAll(dir) })
	if err := l.guard(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// undertaker waits for the end of its input, which comes when this process has ended in
// whatever way, and then kills and removes what is left of the lab. It is needed because
// Postfix's master leaves the process group of its parent.
const undertaker = `
cat >/dev/null
for main in "$D"/*/etc/main.cf; do
  if [ -e "$main" ]; then postfix -c "${main%/main.cf}" stop; fi
done
rm -rf "$D"
`

// guard makes sure that a test that panics or is killed leaves nothing behind.
func (l *Lab) guard() error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("guarding the lab: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", undertaker)
	cmd.Env = append(os.Environ(), "D="+l.Dir)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return fmt.Errorf("guarding the lab: %w", err)
	}
	l.Defer(func() {
		w.Close()
		cmd.Wait() // its exit status does not matter
	})
	return nil
}

// Defer registers f to run at Close, the last registered first.
func (l *Lab) Defer(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanup = append(l.cleanup, f)
}

// Close stops every server of the Lab and removes its folder. It may be called
// twice.
func (l *Lab) Close() {
	l.mu.Lock()
	todo := l.cleanup
	l.cleanup = nil
	l.mu.Unlock()
	for i := len(todo) - 1; i >= 0; i-- {
		todo[i]()
	}
}

// Path returns a path inside the Lab's folder.
func (l *Lab) Path(elem ...string) string {
	return filepath.Join(append([]string{l.Dir}, elem...)...)
}

// mkdir makes a folder inside the Lab with exactly this mode and owner.
func (l *Lab) mkdir(mode os.FileMode, uid, gid int, elem ...string) (string, error) {
	dir := l.Path(elem...)
	if err := os.MkdirAll(dir, mode); err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return "", fmt.Errorf("giving a folder away: %w", err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		return "", fmt.Errorf("setting a folder's mode: %w", err)
	}
	return dir, nil
}

// Until polls cond until it holds or Patience is over. What cond cannot find out yet, such as
// what a file holds that does not exist, is a reason to ask again: the last error is told at
// the end. An error made by [Never] ends the wait at once. what completes the sentence
// "waiting for …".
func Until(what string, cond func() (bool, error)) error {
	return UntilIn(Patience, what, cond)
}

// UntilIn is Until with a bound of its own.
func UntilIn(limit time.Duration, what string, cond func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	pause := 2 * time.Millisecond
	for {
		ok, err := cond()
		var no never
		switch {
		case errors.As(err, &no):
			return fmt.Errorf("waiting for %s: %w", what, err)
		case ok && err == nil:
			return nil
		case time.Now().Before(deadline):
		case err != nil:
			return fmt.Errorf("waiting for %s: not within %v: %w", what, limit, err)
		default:
			return fmt.Errorf("waiting for %s: not within %v", what, limit)
		}
		time.Sleep(pause)
		if pause < 50*time.Millisecond {
			pause *= 2
		}
	}
}

// never is the error of a condition that will not hold any more.
type never struct{ error }

func (n never) Unwrap() error { return n.error }

// Never says to Until that a condition will not hold any more, and why: that a process has
// ended, for example.
func Never(err error) error { return never{err} }

// ModuleRoot returns the folder of this module's go.mod.
func ModuleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for the module: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("finding the module: not inside one")
	}
	return filepath.Dir(mod), nil
}

// Build compiles a package of this module ("./cmd/bounce-milter") to the file
// out; flags go to go build. It has no revision, which git does not tell in a tree of
// another user.
func Build(pkg, out string, flags ...string) error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	args := append([]string{"build", "-buildvcs=false", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = root
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, msg)
	}
	return nil
}
