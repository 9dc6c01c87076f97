package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/config"
)

var explainCommand = command{
	name: "explain", args: "[--format text|json] [--remote-mta HOST] [--config FILE] REPLY...",
	does: "classify a bare reply and say why",
	more: `A REPLY is what a server answered: bounce-milter explain "550 5.7.26 Unauthenticated
email". Without quotes the words are joined into one. "-" reads one reply a line from
standard input; a line that begins with { is a JSON object with reply and, if known,
remote_mta, reporting_mta, status and smtp_code.

  --format json       one JSON object a line for each reply
  --remote-mta HOST   the server that answered
  --config FILE       read FILE instead of ` + config.DefaultPath,
	run: runExplain,
}

// maxLine bounds a line of standard input; what is beyond is cut off.
const maxLine = 1 << 20

// question is a line of JSON on standard input.
type question struct {
	Reply        string `json:"reply"`
	RemoteMTA    string `json:"remote_mta"`
	ReportingMTA string `json:"reporting_mta"`
	Status       string `json:"status"`
	SMTPCode     int    `json:"smtp_code"`
}

func runExplain(a *app, fs *flag.FlagSet, args []string) error {
	format, checkFormat := formatFlag(fs)
	remote := fs.String("remote-mta", "", "")
	file := configFlag(fs)
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if err := checkFormat(); err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef(`explain: no reply: write it in quotes, or "-" to read replies from standard input`)
	}
	_, engine, err := loadEngine(*file)
	if err != nil {
		return err
	}
	e := explainer{a: a, engine: engine, json: *format == "json", remote: *remote}
	if len(args) == 1 && args[0] == "-" {
		a.hint("replies, one a line,")
		return e.lines(a.stdin)
	}
	// Words without quotes arrive one by one: they are one reply.
	if !strings.ContainsAny(args[0], " \t\n") {
		args = []string{strings.Join(args, " ")}
	}
	for _, reply := range args {
		if err := e.answer(question{Reply: reply}); err != nil {
			return err
		}
	}
	return nil
}

// explainer answers questions.
type explainer struct {
	a      *app
	engine *classify.Engine
	json   bool
	remote string // where a question names none
	count  int
}

// lines answers every line of r. One that cannot be understood is answered with
// an error, so that answers and lines stay in step.
func (e *explainer) lines(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	failed := false
	for n := 1; ; n++ {
		line, err := readLine(br)
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading standard input: %w", err)
		}
		if err == io.EOF && len(line) == 0 {
			break
		}
		if bad := e.line(line); bad != nil {
			failed = true
			bad = fmt.Errorf("line %d: %w", n, bad)
			if e.json {
				if err := newEncoder(e.a).Encode(map[string]string{"error": bad.Error()}); err != nil {
					return err
				}
			} else {
				e.a.complain(bad)
			}
		}
		if br.Buffered() == 0 { // somebody may be waiting for the answer
			if err := e.a.out.Flush(); err != nil {
				return fmt.Errorf("writing standard output: %w", err)
			}
		}
		if err == io.EOF {
			break
		}
	}
	if failed {
		return errSaid
	}
	return nil
}

// line answers one line.
func (e *explainer) line(line []byte) error {
	line = bytes.TrimRight(line, "\r\n")
	if len(bytes.TrimSpace(line)) == 0 && !e.json {
		return nil
	}
	if !bytes.HasPrefix(line, []byte("{")) {
		return e.answer(question{Reply: string(line)})
	}
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return fmt.Errorf("no JSON object: %s", jsonMessage(err))
	}
	return e.answer(q)
}

// jsonMessage leaves Go's names of types out of an error.
func jsonMessage(err error) string {
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		want := "a string"
		if te.Type.Kind().String() == "int" {
			want = "a number"
		}
		return fmt.Sprintf("%s is a %s: write %s", te.Field, te.Value, want)
	}
	return err.Error()
}

func (e *explainer) answer(q question) error {
	if q.RemoteMTA == "" {
		q.RemoteMTA = e.remote
	}
	ev := &classify.Evidence{Reply: q.Reply, Status: q.Status, SMTPCode: q.SMTPCode,
		RemoteMTA: q.RemoteMTA, ReportingMTA: q.ReportingMTA}
	if e.json {
		return newEncoder(e.a).Encode(e.engine.Reply(ev))
	}
	if e.count++; e.count > 1 {
		fmt.Fprint(e.a.out, "\n", strings.Repeat("─", min(72, width(e.a.stdout))), "\n\n")
	}
	explainText(e.a, q.Reply, e.engine.Explain(ev))
	return nil
}

// readLine reads a line of any length and keeps its first maxLine octets.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := br.ReadSlice('\n')
		line = append(line, piece[:min(len(piece), maxLine-len(line))]...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}
