package lab

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a program that the lab started, in a process group of its own, its
// output in a file.
type Process struct {
	Name    string
	LogFile string

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Spec says what to start. Log is the file that standard output and error are
// appended to.
type Spec struct {
	Name string
	Path string
	Args []string
	Env  []string // in addition to our own
	Log  string
	// As is the user that runs it; nil for our own.
	As *syscall.Credential
	// OnDeath is what it gets when this process dies, SIGKILL if zero.
	OnDeath syscall.Signal
}

// Start runs a program and returns at once. The Lab kills its process group at
// Close if it still runs then.
func (l *Lab) Start(s Spec) (*Process, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Dir = l.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: s.As}
	if s.OnDeath != 0 {
		cmd.SysProcAttr.Pdeathsig = s.OnDeath
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	p := &Process{Name: s.Name, LogFile: s.Log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	l.Defer(func() {
		if !p.Exited() {
			syscall.Kill(-p.Pid(), syscall.SIGKILL)
			<-p.done
		}
	})
	return p, nil
}

// Pid returns the process id, which is also the id of its process group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// UntilItListens waits until somebody listens at an address, and returns an error with the
// log if the process has ended before.
func (p *Process) UntilItListens(network, addr string) error {
	return Until(p.Name+" to listen", func() (bool, error) {
		if p.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", p.Log()))
		}
		c, err := net.Dial(network, addr)
		if err != nil {
			return false, nil
		}
		return true, c.Close()
	})
}

// Signal sends sig to the process.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("sending %v to %s: %w", sig, p.Name, err)
	}
	return nil
}

// Kill ends the process as kill -9 does and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // an error means that it is gone already
	<-p.done
}

// Wait waits for the end of the process and returns its exit status.
func (p *Process) Wait(limit time.Duration) (int, error) {
	select {
	case <-p.done:
	case <-time.After(limit):
		return 0, fmt.Errorf("waiting for %s to end: not within %v", p.Name, limit)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		return 0, fmt.Errorf("waiting for %s: %w", p.Name, p.err)
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// Stop asks the process to end with SIGTERM and returns its exit status.
func (p *Process) Stop() (int, error) {
	if !p.Exited() {
		if err := p.Signal(syscall.SIGTERM); err != nil && !p.Exited() {
			return 0, err
		}
	}
	return p.Wait(Patience)
}

// Log returns what the process has written so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.LogFile)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Resident returns the resident memory of the process in bytes.
func (p *Process) Resident() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid()))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %w", p.Name, err)
	}
	var size, resident int64
	if _, err := fmt.Fscan(bytes.NewReader(b), &size, &resident); err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %w", p.Name, err)
	}
	return resident * int64(os.Getpagesize()), nil
}

// CPU returns the processor time, user and system, that the process has used.
func (p *Process) CPU() (time.Duration, error) { return cpuOf(p.Pid()) }

// cpuOf reads the processor time of one process. The kernel counts in ticks of
// a hundredth of a second for every program (sysconf _SC_CLK_TCK is 100 on all
// of Linux's architectures that Debian has).
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading processor time: %w", err)
	}
	// proc(5): the name, field 2, is in parentheses and may hold spaces; user
	// and system time are fields 14 and 15.
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, errors.New("reading processor time: too few fields")
	}
	var user, sys int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &sys); err != nil {
		return 0, fmt.Errorf("reading processor time: %w", err)
	}
	return time.Duration(user+sys) * 10 * time.Millisecond, nil
}
