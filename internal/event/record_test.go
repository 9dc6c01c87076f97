package event

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// TestJSON checks the names of fields and their order against the contract.
func TestJSON(t *testing.T) {
	at := time.Date(2026, 11, 27, 18, 0, 0, 123_456_789, time.FixedZone("CET", 3600))
	full := Record{ID: "01JDKQ", Time: Time{at}, Source: SourceMilter, Host: "mx1.example.org", QueueID: "4XyZ1k",
		Client: "192.0.2.1", EnvelopeTo: []string{"bounces@lists.example.org"}, Kind: dsn.KindDSN,
		Recipient: classify.Recipient{Address: "<u>@example.com", Action: dsn.ActionFailed, Category: classify.MailboxFull,
			Type: classify.Soft, Reason: "mailbox-full", Status: "5.2.2", SMTPCode: 552, Evidence: classify.RungText},
		Returned: Returned{MessageID: "x@y", Headers: map[string]string{"List-Id": "l.example.org"}},
		Feedback: &Feedback{Type: "abuse"}}
	const body = `"action":"failed","category":"mailbox-full","type":"soft","reason":"mailbox-full",` +
		`"status":"5.2.2","smtp_code":552,"remote_mta":"","provider":"","diagnostic":"","rule":"","evidence":"text"`
	const none = `"action":"","category":"","type":"","reason":"","status":"","smtp_code":0,"remote_mta":"","provider":"",` +
		`"diagnostic":"","rule":"","evidence":""`
	for name, tt := range map[string]struct {
		give Record
		want string
	}{
		"full": {full, `{"v":1,"id":"01JDKQ","time":"2026-11-27T17:00:00.123Z","source":"milter","host":"mx1.example.org",` +
			`"queue_id":"4XyZ1k","client":"192.0.2.1","envelope_from":"","envelope_to":["bounces@lists.example.org"],"kind":"dsn",` +
			`"origin":"","proof":"","verp":"","token":"","recipient":"<u>@example.com","original_recipient":"",` + body +
			`,"returned":{"message_id":"x@y","from":"","date":"","headers":{"List-Id":"l.example.org"}},` +
			`"feedback":{"type":"abuse","source_ip":"","arrival_date":""},"action_taken":""}`},
		"empty": {Record{Kind: dsn.KindAutoReply}, `{"v":1,"id":"","time":"0001-01-01T00:00:00.000Z","source":"","host":"","queue_id":"",` +
			`"client":"","envelope_from":"","envelope_to":[],"kind":"auto-reply","origin":"","proof":"","verp":"","token":"",` +
			`"recipient":"","original_recipient":"",` + none +
			`,"returned":{"message_id":"","from":"","date":"","headers":{}},"action_taken":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.give.JSON()
			if err != nil || string(got) != tt.want {
				t.Errorf("JSON() = %s, %v\nwant     %s", got, err, tt.want)
			}
			it, err := ReadItem(got)
			if err != nil || it.ID != tt.give.ID || !it.Time.Equal(tt.give.Time.Truncate(time.Millisecond)) || it.Record().Kind != tt.give.Kind {
				t.Errorf("ReadItem = %+v, %v", it, err)
			}
			var back Record
			if err := json.Unmarshal(got, &back); err != nil {
				t.Fatal(err)
			}
			if again, _ := back.JSON(); string(again) != string(got) {
				t.Errorf("read back and written again: %s", again)
			}
		})
	}
}

// TestReadItem reads lines that somebody else may have written.
func TestReadItem(t *testing.T) {
	for line, want := range map[string]string{
		`{"v":1,"id":"A","time":"2026-11-27T17:00:00.123Z"}`:       "A",
		`{"id":"A","v":1,"time":"2026-11-27T17:00:00Z"}`:           "A",
		`{"v":1,"id":"A\u0042","time":"2026-11-27T17:00:00.123Z"}`: "AB",
		`{"v":1,"id":"A","time":"2026-11-27T17:00:00.123Z"`:        "",
		`{"v":1,"id":"A","time":"yesterday"}`:                      "",
		`{"v":1,"id":["A"],"time":"2026-11-27T17:00:00.123Z"}`:     "",
		`[]`: "",
		``:   "",
		`{"v":1,"id":"A","time":"2026-11-27T17:00:00.123Z","kind":{}}`: "A",
	} {
		it, err := ReadItem([]byte(line))
		if it.ID != want || (err == nil) != (want != "") {
			t.Errorf("ReadItem(%s) = %q, %v; want %q", line, it.ID, err, want)
		}
		it.Record() // must not panic, whatever the line is
	}
}
