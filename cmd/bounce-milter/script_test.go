package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/emersion/go-milter"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expectations in the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bounce-milter": main})
}

// Each script is a transcript of the program. In short mode, which is used with the race
// detector, only those of the daemon run, because nothing else is concurrent.
func TestScripts(t *testing.T) {
	pattern := "*.txtar"
	if testing.Short() {
		pattern = "serve*.txtar"
	}
	runScripts(t, filepath.Join("testdata", "script", pattern))
}

func runScripts(t *testing.T, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	testscript.Run(t, testscript.Params{
		Files:         files,
		UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"ports":  ports,
			"await":  await,
			"signal": sendSignal,
			"fetch":  fetch,
			"poll":   poll,
			"begin":  begin,
			"mail":   mail,
		},
	})
}

// exits CODE PROGRAM ARG...: runs a program that must exit with the code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var ee *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ee) {
		got = ee.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// ports NAME...: sets each variable to a port that is free.
func ports(ts *testscript.TestScript, _ bool, args []string) {
	list, err := lab.FreePorts(len(args))
	ts.Check(err)
	for i, name := range args {
		ts.Setenv(name, strconv.Itoa(list[i]))
	}
}

const patience = time.Minute

// await FILE PATTERN [COUNT]: waits until the file contains a match, or COUNT matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	count := 1
	if len(args) == 3 {
		var err error
		count, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	re := regexp.MustCompile("(?m)" + args[1])
	var text []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		text, _ = os.ReadFile(ts.MkAbs(args[0]))
		if len(re.FindAll(text, -1)) >= count {
			return
		}
	}
	ts.Fatalf("%s never held %s:\n%s", args[0], args[1], text)
}

// signal NAME PIDFILE: sends TERM, HUP or KILL to the process whose number is in the file.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}[args[0]]
	if sig == 0 {
		ts.Fatalf("unknown signal %s", args[0])
	}
	ts.Check(syscall.Kill(pid, sig))
}

// fetch URL FILE: gets a page of the daemon's.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	client := http.Client{Timeout: patience}
	resp, err := client.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
}

// poll URL PATTERN: gets a page again and again until it contains a match.
func poll(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[1])
	client := http.Client{Timeout: patience}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		resp, err := client.Get(args[0])
		if err != nil {
			continue // not up yet
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if re.Match(body) {
			return
		}
	}
	ts.Fatalf("%s never held %s", args[0], args[1])
}

// mail ADDRESS FILE: sends the message in a file to the milter, from the null sender.
func mail(ts *testscript.TestScript, _ bool, args []string) {
	head, body, _ := strings.Cut(ts.ReadFile(args[1]), "\n\n")
	client := milter.NewClientWithOptions("tcp", args[0], milter.ClientOptions{
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader, ReadTimeout: patience, WriteTimeout: patience})
	defer client.Close()
	s, err := client.Session()
	ts.Check(err)
	defer s.Close()
	step := func(_ *milter.Action, err error) { ts.Check(err) }
	step(s.Conn("mx.example.net", milter.FamilyInet, 25, "192.0.2.1"))
	step(s.Mail("", nil))
	step(s.Rcpt("bounces@lists.example.org", nil))
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		step(s.HeaderField(name, value))
	}
	step(s.HeaderEnd())
	step(s.BodyChunk([]byte(strings.ReplaceAll(body, "\n", "\r\n"))))
	_, last, err := s.End()
	ts.Check(err)
	if last.Code != milter.ActAccept && last.Code != milter.ActContinue {
		ts.Fatalf("answered %c", last.Code)
	}
}

// begin ADDRESS: opens a milter session that stays in the middle of a message.
func begin(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := net.Dial("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	ts.Check(conn.SetDeadline(time.Now().Add(patience)))
	send := func(frame string) {
		_, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
		ts.Check(err)
	}
	receive := func() {
		head := make([]byte, 4)
		_, err := io.ReadFull(conn, head)
		ts.Check(err)
		_, err = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head)))
		ts.Check(err)
	}
	send("O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff") // version 6, all actions, all steps
	receive()
	send("M<>\x00")
	receive()
}
