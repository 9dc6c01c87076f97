//go:build e2e

package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// eventLines makes lines as a file sink writes them, n of which are about one
// recipient each, then one that is long and one complaint.
func eventLines(t *testing.T, from, n int) (lines []string) {
	t.Helper()
	for i := from; i < from+n+2; i++ {
		r := event.Record{ID: fmt.Sprintf("01JDKQ3V5R8W9X0Y1Z2A3B%04d", i), Time: event.Time{Time: time.Now()}, Source: event.SourceMilter,
			Host: "mx1.example.org", Kind: dsn.KindDSN, EnvelopeTo: []string{"bounces@example.org"}}
		r.Address, r.Action = fmt.Sprintf("ü%d@example.com", i%7), dsn.ActionFailed
		r.Category, r.Type, r.Reason, r.Evidence = classify.MailboxFull, classify.Soft, "mailbox-full", classify.RungText
		r.Diagnostic = `552-5.2.2 "Quota" of <u\v@example.com> is used % $!id %msg%; größer`
		r.Status, r.SMTPCode = "5.2.2", 552
		switch {
		case i == from+n:
			r.Diagnostic = strings.Repeat("It is said at length. ", 600)
		case i > from+n:
			r.Kind, r.Recipient, r.Feedback = dsn.KindFeedback, classify.Recipient{Address: "c@example.com"}, &event.Feedback{Type: "abuse"}
		case i%5 == 0:
			r.Category, r.Type, r.Reason = classify.InvalidAddress, classify.Hard, "unknown-user"
		}
		line, err := r.JSON()
		if err == nil {
			err = CheckEvent(line)
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return lines
}

// logFile is a file of events as the daemon and logrotate treat it.
type logFile struct {
	t    *testing.T
	path string
}

func (f logFile) write(lines []string) {
	f.t.Helper()
	w, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	defer w.Close()
	for _, l := range lines {
		if _, err := w.WriteString(l + "\n"); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f logFile) rotate() {
	f.t.Helper()
	if err := os.Rename(f.path, f.path+".1"); err != nil {
		f.t.Fatal(err)
	}
}

// received are lines that arrived somewhere.
type received struct {
	mu    sync.Mutex
	lines []string
}

func (r *received) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

// all waits for as many lines as want, and wants exactly those, in any order.
func (r *received) all(t *testing.T, want []string) {
	t.Helper()
	var got []string
	err := Until("the events", func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		got = slices.Clone(r.lines)
		return len(got) >= len(want), nil
	})
	if err != nil {
		t.Fatalf("%v: %d of %d arrived", err, len(got), len(want))
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("arrived\n%s\nwant\n%s", got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d arrived, want %d", len(got), len(want))
	}
}

// eventRecipe reads one of packaging/events, with what the administrator would change
// changed. Each old text must be there.
func eventRecipe(t *testing.T, name string, oldnew ...string) string {
	t.Helper()
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(root + "/packaging/events/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(b), oldnew[i]) {
			t.Fatalf("%s has no %s", name, oldnew[i])
		}
	}
	return strings.NewReplacer(oldnew...).Replace(string(b))
}

const recipeFile = "/var/log/bounce-milter/events.jsonl"

// rsyslog gives the lines to Kafka as they are, through a rotation of the file and a
// restart of its own; those about one recipient stay in order.
func TestRecipeKafka(t *testing.T) {
	l := newLab(t)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "bounces"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	file := logFile{t, l.Path("events.jsonl")}
	lines := eventLines(t, 0, 300)
	file.write(lines[:100])
	rsyslog, err := l.StartRsyslog("rsyslog", eventRecipe(t, "rsyslog-kafka.conf", recipeFile, file.path,
		`"kafka1.example.org:9092", "kafka2.example.org:9092"`, fmt.Sprintf("%q", kafka.ListenAddrs()[0])))
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "rsyslog", func() string { return rsyslog.Log() })

	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.ConsumeTopics("bounces"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var got received
	last := map[string]string{} // id by recipient
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				got.add(string(r.Value))
				var e event.Record
				if err := json.Unmarshal(r.Value, &e); err != nil || string(r.Key) != e.Address || e.ID <= last[e.Address] {
					t.Errorf("%s after %s, of key %s (%v)", e.ID, last[e.Address], r.Key, err)
				}
				last[e.Address] = e.ID
			})
		}
	}()
	t.Cleanup(func() { cancel(); <-done })

	got.all(t, lines[:100])
	file.rotate()
	file.write(lines[100:200])
	got.all(t, lines[:200])
	if _, err := rsyslog.Stop(); err != nil {
		t.Fatal(err)
	}
	file.write(lines[200:])
	if err := rsyslog.Restart(); err != nil {
		t.Fatal(err)
	}
	got.all(t, lines)
}

// elastic is as strict about bulk requests as Elasticsearch 8.
type elastic struct {
	received
	ids    map[string]bool
	busy   map[string]bool // ids that are refused once
	bad    string          // id that is refused always
	wrongs []string
}

var bulkAction = regexp.MustCompile(`^\{"create":\{"_index": ?"bounces", ?"_id": ?"([0-9A-Z]{26})"\}\}$`)

func (e *elastic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		io.WriteString(w, `{"status":"green"}`)
		return
	}
	body, err := io.ReadAll(r.Body)
	items, failed, err := e.bulk(r, body, err)
	if err != nil {
		e.mu.Lock()
		e.wrongs = append(e.wrongs, err.Error())
		e.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, `{"took":1,"errors":%t,"items":[%s]}`, failed, strings.Join(items, ","))
}

func (e *elastic) bulk(r *http.Request, body []byte, err error) (items []string, failed bool, _ error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	text, ended := bytes.CutSuffix(body, []byte("\n"))
	lines := bytes.Split(text, []byte("\n"))
	switch {
	case err != nil:
		return nil, false, err
	case r.Method != http.MethodPost || r.URL.Path != "/_bulk":
		return nil, false, fmt.Errorf("%s %s", r.Method, r.URL)
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return nil, false, fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	case !ended || len(lines)%2 != 0:
		return nil, false, fmt.Errorf("%d lines, the last ended: %t", len(lines), ended)
	}
	for i := 0; i < len(lines); i += 2 {
		m := bulkAction.FindSubmatch(lines[i])
		if m == nil {
			return nil, false, fmt.Errorf("action %s", lines[i])
		}
		id, status, why := string(m[1]), 201, ""
		var source struct{ ID string }
		if err := json.Unmarshal(lines[i+1], &source); err != nil || source.ID != id {
			return nil, false, fmt.Errorf("the source of %s is %s", id, lines[i+1])
		}
		switch {
		case id == e.bad:
			status, why = 400, `,"error":{"type":"mapper_parsing_exception","reason":"what is it?"}`
		case e.busy[id]:
			delete(e.busy, id)
			status, why = 429, `,"error":{"type":"es_rejected_execution_exception","reason":"full"}`
		case e.ids[id]:
			status, why = 409, `,"error":{"type":"version_conflict_engine_exception","reason":"exists"}`
		default:
			e.ids[id] = true
			// What was refused comes again, in other words for the same.
			e.lines = append(e.lines, compact(lines[i+1]))
		}
		failed = failed || status != 201
		items = append(items, fmt.Sprintf(`{"create":{"_index":"bounces","_id":%q,"status":%d%s}}`, id, status, why))
	}
	return items, failed, nil
}

// compact writes JSON in the one way that does not go by what it was.
func compact(line []byte) string {
	var v any
	if err := json.Unmarshal(line, &v); err != nil {
		return err.Error()
	}
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// rsyslog gives the lines to Elasticsearch, each once under its id, also when some are
// refused for a time; one that is refused for good ends in a file.
func TestRecipeElasticsearch(t *testing.T) {
	l := newLab(t)
	lines := eventLines(t, 0, 300)
	id := func(i int) string { return fmt.Sprintf("01JDKQ3V5R8W9X0Y1Z2A3B%04d", i) }
	e := &elastic{ids: map[string]bool{}, busy: map[string]bool{id(3): true, id(300): true}, bad: id(7)}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	file := logFile{t, l.Path("events.jsonl")}
	file.write(append(lines[:150:150], lines[100:150]...)) // some come twice
	refused := l.Path("refused")
	rsyslog, err := l.StartRsyslog("rsyslog", eventRecipe(t, "rsyslog-elasticsearch.conf", recipeFile, file.path,
		"https://elastic1.example.org:9200", server.URL, "/var/log/bounce-milter/elasticsearch.refused", refused))
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "rsyslog", func() string { return rsyslog.Log() })
	t.Cleanup(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, w := range e.wrongs {
			t.Errorf("a request that Elasticsearch does not take: %s", w)
		}
	})
	var want []string
	for i, line := range lines {
		if i != 7 {
			want = append(want, compact([]byte(line)))
		}
	}
	e.all(t, want[:149])
	file.write(lines[150:])
	e.all(t, want)
	var text []byte
	err = Until("the refused record", func() (bool, error) {
		text, _ = os.ReadFile(refused) // it comes to be
		return bytes.HasSuffix(text, []byte("\n")), nil
	})
	status, line, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if err != nil || status != "400" || compact([]byte(line)) != compact([]byte(lines[7])) {
		t.Errorf("refused: %.2000s (%v)", text, err)
	}
}

// syslog-ng gives the lines to another host as they are, and writes those that are hard
// to a file.
func TestRecipeSyslogNG(t *testing.T) {
	l := newLab(t)
	lines := eventLines(t, 0, 300)
	var got received
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					got.add(s.Text())
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	file := logFile{t, l.Path("events.jsonl")}
	file.write(lines[:100])
	hard := l.Path("hard.txt")
	ng, err := l.StartSyslogNG("syslog-ng", eventRecipe(t, "syslog-ng.conf", recipeFile, file.path, "/var/log/bounce-milter/hard.txt", hard,
		`"siem.example.org" port(6514) transport("tls") tls(ca-dir("/etc/ssl/certs"))`, fmt.Sprintf(`"127.0.0.1" port(%s) transport("tcp")`, port),
		"disk-buffer(", fmt.Sprintf("disk-buffer(dir(%q) ", l.Dir)))
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "syslog-ng", ng.Log)
	got.all(t, lines[:100])
	file.rotate()
	file.write(lines[100:])
	got.all(t, lines)
	want := 0
	for _, line := range lines {
		if strings.Contains(line, `"type":"hard"`) {
			want++
		}
	}
	line := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ü\d@example\.com unknown-user$`)
	var text []byte
	err = Until("the file of hard bounces", func() (bool, error) {
		text, err = os.ReadFile(hard)
		return bytes.Count(text, []byte("\n")) >= want, nil
	})
	if n := len(line.FindAll(text, -1)); err != nil || n != want || bytes.Count(text, []byte("\n")) != want {
		t.Errorf("%d lines of hard bounces, want %d (%v)\n%s", n, want, err, text)
	}
}

// VictoriaLogs takes the file of events by the command of docs/events.md, and answers by
// category.
func TestRecipeVictoriaLogs(t *testing.T) {
	l := newLab(t)
	if err := BuildVictoriaLogs(l.Path("victoria-logs")); err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	addr := Loopback(ports[0])
	vl, err := l.Start(Spec{Name: "victoria-logs", Path: l.Path("victoria-logs"), Log: l.Path("vl.log"),
		Args: []string{"-httpListenAddr=" + addr, "-storageDataPath=" + l.Path("vl")}})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "VictoriaLogs", vl.Log)
	err = Until("VictoriaLogs to serve", func() (bool, error) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}

	lines := eventLines(t, 0, 300)
	file := logFile{t, l.Path("events.jsonl")}
	file.write(lines)
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(root + "/docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## To VictoriaLogs\n")
	commands := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, 2)
	if len(commands) != 2 {
		t.Fatal("docs/events.md does not say how to write and to ask")
	}
	run := func(command string) string {
		script := strings.NewReplacer(recipeFile, file.path, "127.0.0.1:9428", addr).Replace(command)
		out, err := exec.Command("sh", "-ec", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	run(commands[0][1])
	want := map[string]int{}
	for _, line := range lines {
		var r event.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		want[string(r.Category)]++
	}
	var answer string
	err = Until("the answer by category", func() (bool, error) {
		answer = run(commands[1][1])
		got := map[string]int{}
		for line := range strings.Lines(answer) {
			var row struct{ Category, N string }
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				return false, fmt.Errorf("%w: %s", err, answer)
			}
			var n int
			fmt.Sscan(row.N, &n)
			got[row.Category] = n
		}
		return fmt.Sprint(got) == fmt.Sprint(want), nil
	})
	if err != nil {
		t.Fatalf("%v\n%s\nwant %v", err, answer, want)
	}
	// What is left of a record: every field by its name.
	query := url.Values{"query": {`id:="01JDKQ3V5R8W9X0Y1Z2A3B0001"`}}
	err = Until("the record", func() (bool, error) {
		resp, err := http.Get("http://" + addr + "/select/logsql/query?" + query.Encode())
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		for _, field := range []string{`"recipient":"ü1@example.com"`, `"type":"soft"`, `"smtp_code":"552"`} {
			if err == nil && !strings.Contains(string(body), field) {
				err = fmt.Errorf("it has no %s: %s", field, body)
			}
		}
		return err == nil, err
	})
	if err != nil {
		t.Error(err)
	}
}
