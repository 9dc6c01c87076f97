//go:build e2e

package lab_test

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mixin"
	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Every query of the dashboard returns data of two daemons that see bounces, and every rule
// can be computed.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	targets := []string{standIn(t)}
	for _, name := range []string{"mx1", "mx2"} {
		d := busyDaemon(t, l, name)
		targets = append(targets, d.Metrics)
	}
	p := watch(t, l, targets, postfixExporter(t, l))

	root, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	board, err := mixin.Dashboard(root)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := mixin.Queries(board)
	if err != nil {
		t.Fatal(err)
	}
	documented := shown(t, root, "docs/prometheus.md")
	values := map[string]string{"job": "bounce-milter", "instance": ".*", "provider": ".*", "category": ".*"}
	waiting := map[string]string{} // query: who asks
	for _, q := range queries {
		expr, err := q.With(values)
		if err != nil {
			t.Fatal(err)
		}
		waiting[expr] = q.Where
	}
	for _, expr := range comes() {
		waiting[expr] = "the mail"
	}
	for _, expr := range documented {
		// Newer exporters alone have the other counter.
		if !strings.Contains(expr, "postfix_smtp_messages_processed_total") {
			waiting[expr] = "docs/prometheus.md"
		}
	}
	err = lab.Until("data for each query", func() (bool, error) {
		for expr := range waiting {
			got, err := p.Query(expr, time.Time{})
			if err != nil {
				return false, err
			}
			for _, s := range got {
				if !math.IsNaN(s.Value) {
					delete(waiting, expr)
				}
			}
		}
		return len(waiting) == 0, nil
	})
	if err != nil {
		t.Errorf("%v", err)
		for expr, where := range waiting {
			t.Errorf("%s has no data: %s", where, expr)
		}
	}
	healthy(t, p)
	agree(t, p, queries, values)
	traced(t, p)
	// What other pages show may have no answer now, but it is a question.
	for _, page := range []string{"docs/metrics.md", "docs/runbooks.md"} {
		for _, expr := range shown(t, root, page) {
			if _, err := p.Query(expr, time.Time{}); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	for _, target := range targets[1:] {
		lint(t, target)
	}
}

// shown lists the queries on a page: those in code, and those in tables of questions.
func shown(t *testing.T, root, page string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```promql\n *(.*?)\n *```").FindAllSubmatch(text, -1) {
		list = append(list, string(m[1]))
	}
	for _, table := range strings.Split(string(text), "| question | query |\n")[1:] {
		rows, _, _ := strings.Cut(table, "\n\n")
		for _, row := range strings.Split(rows, "\n")[1:] {
			_, query, _ := strings.Cut(row, " | ")
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(query, -1) {
				list = append(list, strings.ReplaceAll(m[1], `\|`, "|"))
			}
		}
	}
	if len(list) < 5 {
		t.Errorf("%s shows %d queries", page, len(list))
	}
	return list
}

// traced waits for the queue id of a message that a graph of bounces can lead to.
func traced(t *testing.T, p *lab.Prometheus) {
	t.Helper()
	err := lab.Until("an exemplar", func() (bool, error) {
		ids, err := p.Exemplars(`bounce_milter_bounces_total`, "queue_id")
		for _, id := range ids {
			if !strings.HasPrefix(id, "4B") {
				return false, fmt.Errorf("there is no message %q", id)
			}
		}
		return len(ids) > 0, err
	})
	if err != nil {
		t.Error(err)
	}
}

// lint gives what a daemon serves to promtool check metrics.
func lint(t *testing.T, target string) {
	t.Helper()
	resp, err := http.Get("http://" + target + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// postfixExporter starts Debian's exporter with a log in which mail is sent and deferred
// until the test ends.
func postfixExporter(t *testing.T, l *lab.Lab) string {
	t.Helper()
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(l.Path("mail.log"))
	if err != nil {
		t.Fatal(err)
	}
	addr := lab.Loopback(ports[0])
	p, err := l.Start(lab.Spec{Name: "postfix_exporter", Path: "/usr/bin/prometheus-postfix-exporter", Log: l.Path("postfix_exporter.log"),
		Args: []string{"--web.listen-address=" + addr, "--postfix.showq_path=" + l.Path("showq"), "--postfix.logfile_path=" + log.Name()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.UntilItListens("tcp", addr); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		pace := time.NewTicker(50 * time.Millisecond)
		defer pace.Stop()
		for {
			for _, status := range []string{"sent", "sent", "deferred"} {
				fmt.Fprintf(log, "Nov  2 10:00:00 mx1 postfix/smtp[4711]: 4ABCD: to=<carla@example.net>, relay=mx.example.net[192.0.2.1]:25, "+
					"delay=0.5, delays=0.1/0/0.2/0.2, dsn=2.0.0, status=%s (250 OK)\n", status)
			}
			select {
			case <-stop:
				return
			case <-pace.C:
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		log.Close()
	})
	return addr
}

// standIn serves the deliveries that follow counts from a log.
func standIn(t *testing.T) string {
	reg := prometheus.NewRegistry()
	deliveries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bounce_milter_deliveries_total", Help: "Attempts to deliver, from the log."},
		[]string{"result", "category", "type", "provider"})
	reg.MustRegister(deliveries)
	serve := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, provider := range []string{"google", "microsoft", "other"} {
			deliveries.WithLabelValues("sent", "", "", provider).Add(30)
			deliveries.WithLabelValues("deferred", "rate-limit", "soft", provider).Add(3)
			deliveries.WithLabelValues("bounced", "invalid-address", "hard", provider).Inc()
		}
		serve.ServeHTTP(w, r)
	})}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

// busyDaemon starts a daemon that gets bounces until the test ends.
func busyDaemon(t *testing.T, l *lab.Lab, name string) *lab.Daemon {
	t.Helper()
	socket := "unix:" + l.Path(name+".sock")
	d, err := l.StartDaemon(name, lab.DaemonConfig{Bin: lab.Bin(), Listen: []string{socket},
		Tables: fmt.Sprintf("[origin]\ndomains = [\"lab.test\"]\n[events]\n[[events.sink]]\nname = \"archive\"\ntype = \"file\"\npath = %q\n"+
			"[[action]]\nname = \"dead\"\nmatch = { type = [\"hard\"] }\nredirect = [\"dead@lab.test\"]\ndry_run = true\n", l.Path(name+".jsonl"))})
	if err != nil {
		t.Fatal(err)
	}
	client, err := mta.Dial("unix", l.Path(name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	var mails []*mta.Message
	for i, raw := range whatComes(name) {
		mails = append(mails, mta.Parse(mta.Envelope{QueueID: fmt.Sprintf("4B%d", i), To: "bounces@lab.test"}, raw))
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		pace := time.NewTicker(25 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-pace.C:
			}
			if err := client.Send(mails[i%len(mails)]); err != nil {
				stopped <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		if err := <-stopped; err != nil {
			t.Errorf("sending to %s: %v\n%s", name, err, d.Log())
		}
		client.Close()
		if strings.Contains(d.Log(), "DATA RACE") {
			t.Errorf("the race detector found a data race:\n%s", d.Log())
		}
	})
	return d
}

// whatComes is what a daemon sees: bounces of several providers and categories, one of mail
// that is not ours, a complaint, ordinary mail.
func whatComes(name string) [][]byte {
	const to = "bounces@lab.test"
	google, microsoft := "gmail-smtp-in.l.google.com", "lab-test.mail.protection.outlook.com"
	one := func(mta, action, status, diagnostic string) lab.Refused {
		return lab.Refused{Address: "carla@example.net", Action: action, Status: status, Diagnostic: diagnostic, RemoteMTA: mta}
	}
	return [][]byte{
		lab.Bounce(name+"1", to, nil, one(google, "", "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. Please try 550 5.1.1 double-checking the recipient's email address")),
		lab.Bounce(name+"2", to, nil, one(google, "", "5.7.1", "550-5.7.1 Our system has detected that this message is likely unsolicited mail. 550 5.7.1 To reduce the amount of spam sent to Gmail, this message has been blocked")),
		lab.Bounce(name+"3", to, nil, one(google, "", "5.7.26", "550-5.7.26 Unauthenticated email from lab.test is not accepted due to domain's DMARC policy")),
		lab.Bounce(name+"4", to, nil, one(google, "delayed", "4.7.28", "421-4.7.28 Our system has detected an unusual rate of mail. Your mail has been temporarily rate limited")),
		lab.Bounce(name+"5", to, nil, one(microsoft, "", "5.2.2", "552 5.2.2 mailbox full")),
		lab.Bounce(name+"6", to, nil, one(microsoft, "", "5.7.23", "550 5.7.23 The message was rejected because of Sender Policy Framework violation")),
		lab.Bounce(name+"7", to, nil, one("mx.example.net", "", "5.0.0", "599 the cat sat on the mat")),
		bytes.Replace(lab.Bounce(name+"0", to, nil, one("mx.example.net", "", "5.1.1", "550 5.1.1 User unknown")), []byte("From: news@lab.test\n"), []byte(forged), 1),
		lab.Complaint(name+"8", to, "carla@example.net"),
		lab.Ordinary(name+"9", to, []string{"X-Bounce-Type: hard"}, 100),
	}
}

// forged is the header of a message that another's server sent in another's name.
const forged = `Received: from pc.spam.example (pc.spam.example [203.0.113.7])
	by mail.spam.example with ESMTP id 4711; Mon, 2 Nov 2026 09:59:57 +0000
From: Bank <bank@spam.example>
Message-Id: <4711@spam.example>
X-Mailer: Bulk 1.0
`

// comes lists what must have been counted of whatComes.
func comes() (list []string) {
	for _, c := range []string{"invalid-address", "sender-reputation", "dmarc", "rate-limit", "mailbox-full", "rejection", "unclassified"} {
		list = append(list, `bounce_milter_bounces_total{category="`+c+`"} > 0`)
	}
	return append(list, `bounce_milter_origin_total{origin="foreign"} > 0`, `bounce_milter_feedback_total{type="abuse"} > 0`,
		`bounce_milter_actions_total{action="redirect",result="dry-run"} > 0`, `bounce_milter_forged_headers_total > 0`,
		`bounce_milter_events_total{sink="archive",result="delivered"} > 0`)
}

// watch starts a Prometheus with the files that we ship, on a clock that is sixty times
// faster: a day is not to be waited for.
func watch(t *testing.T, l *lab.Lab, targets []string, postfix string) *lab.Prometheus {
	t.Helper()
	root, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	read := func(file string, faster ...string) string {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(faster); i += 2 {
			if !strings.Contains(string(data), faster[i]) {
				t.Fatalf("%s has no %q", file, faster[i])
			}
		}
		return strings.NewReplacer(faster...).Replace(string(data))
	}
	config := "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n" +
		read(mixin.Folder+"/scrape.yml", `targets: ["127.0.0.1:9894"]`, `targets: ["`+strings.Join(targets, `", "`)+`"]`) +
		"  - job_name: postfix\n    static_configs: [{targets: [\"" + postfix + "\"]}]\n"
	p, err := l.StartPrometheus("prometheus", config, map[string]string{
		filepath.Base(mixin.RecordingFile): read(mixin.RecordingFile, "interval: 1m", "interval: 1s", " 60 * ", " 1 * ", "offset 6h", "offset 2s"),
		filepath.Base(mixin.AlertFile):     read(mixin.AlertFile, "interval: 1m", "interval: 1s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of prometheus:\n%s", p.Log())
		}
	})
	return p
}

// healthy waits until each rule was computed, without an error.
func healthy(t *testing.T, p *lab.Prometheus) {
	t.Helper()
	err := lab.Until("each rule to be computed", func() (bool, error) {
		rules, err := p.Rules()
		if err != nil || len(rules) < 40 {
			return false, fmt.Errorf("there are %d rules: %v", len(rules), err)
		}
		for _, r := range rules {
			if r.Health == "unknown" {
				return false, nil
			}
			if r.Health != "ok" {
				return false, fmt.Errorf("%s: %s", r.Name, r.LastError)
			}
		}
		return true, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// agree holds a panel that reads what the daemons serve to the sums that the rules record.
func agree(t *testing.T, p *lab.Prometheus, queries []mixin.Query, values map[string]string) {
	t.Helper()
	compared := 0
	for _, q := range queries {
		record, ok := map[string]string{
			"panel Bounces by category": "60 * job_category:bounce_milter_bounces:rate5m",
			"panel Bounces by type":     "60 * sum by (type) (job_action_category_provider_type:bounce_milter_bounces:rate5m)",
		}[q.Where]
		if !ok {
			continue
		}
		expr, err := q.With(values)
		if err != nil {
			t.Fatal(err)
		}
		last, err := p.Query("max(timestamp(job_category:bounce_milter_bounces:rate5m))", time.Time{})
		if err != nil || len(last) != 1 {
			t.Fatalf("when were the sums recorded? %v %v", last, err)
		}
		at := time.UnixMilli(int64(last[0].Value * 1000))
		panel, err := p.Query(expr, at)
		if err != nil {
			t.Fatal(err)
		}
		recorded, err := p.Query(record, at)
		if err != nil {
			t.Fatal(err)
		}
		key := func(s lab.Sample) string { return s.Labels["category"] + s.Labels["type"] }
		want := map[string]float64{}
		for _, s := range recorded {
			want[key(s)] = s.Value
		}
		if len(panel) != len(want) {
			t.Errorf("%s has %d series, recorded are %d", q.Where, len(panel), len(want))
		}
		for _, s := range panel {
			// A scrape may have come between the two.
			if math.Abs(s.Value-want[key(s)]) > 0.2*want[key(s)]+1e-9 {
				t.Errorf("%s: %s is %v, recorded is %v", q.Where, key(s), s.Value, want[key(s)])
			}
		}
		compared++
	}
	if compared != 2 {
		t.Errorf("%d panels were compared", compared)
	}
}
