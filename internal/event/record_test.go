package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
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
			`"origin":"","proof":"","bound":false,"went_to":"","verp":"","token":"","recipient":"<u>@example.com","original_recipient":"",` + body +
			`,"returned":{"message_id":"x@y","from":"","date":"","headers":{"List-Id":"l.example.org"}},` +
			`"feedback":{"type":"abuse","source_ip":"","arrival_date":""},"action_taken":""}`},
		"empty": {Record{Kind: dsn.KindAutoReply}, `{"v":1,"id":"","time":"0001-01-01T00:00:00.000Z","source":"","host":"","queue_id":"",` +
			`"client":"","envelope_from":"","envelope_to":[],"kind":"auto-reply","origin":"","proof":"","bound":false,"went_to":"","verp":"","token":"",` +
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

// TestJSONAsEncodingJSON compares what is written with what encoding/json writes, with
// every field set in turn to what is hard to write.
func TestJSONAsEncodingJSON(t *testing.T) {
	hard := []string{"", "plain", `"`, `\`, "<&>", "a\tb\r\nc\x00\x1f\x7f", "é\u2028\u2029\ufeff", "\xff\xc3", "\U0001f4a9"}
	check := func(r *Record) {
		t.Helper()
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(b.String(), "\n")
		if got, err := r.JSON(); err != nil || string(got) != want {
			t.Errorf("JSON() = %s, %v\nwant     %s", got, err, want)
		}
	}
	var set func(v reflect.Value, r *Record)
	set = func(v reflect.Value, r *Record) {
		for i := range v.NumField() {
			switch f := v.Field(i); {
			case f.Kind() == reflect.String:
				for _, s := range hard {
					f.SetString(s)
					check(r)
				}
			case f.Kind() == reflect.Int && v.Type().Field(i).Name != "V":
				f.SetInt(552)
				check(r)
			case f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[Time]():
				set(f, r)
			}
		}
	}
	r := &Record{V: Version, EnvelopeTo: hard, Feedback: new(Feedback), Returned: Returned{Headers: map[string]string{}}}
	for _, s := range hard {
		r.Returned.Headers[s] = s
	}
	set(reflect.ValueOf(r).Elem(), r)
	set(reflect.ValueOf(r.Feedback).Elem(), r)
	if _, err := (&Record{Time: Time{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}).JSON(); err == nil {
		t.Error("a year of five digits was written")
	}
}

func BenchmarkJSON(b *testing.B) {
	r := Record{ID: "01JDKQ3V5X0000000000000000", Host: "mx1.example.org", QueueID: "4XyZ1k", EnvelopeTo: []string{"bounces@lists.example.org"},
		Recipient: classify.Recipient{Address: "u@example.com", Diagnostic: strings.Repeat("550 5.1.1 no such user; ", 8)}}
	for b.Loop() {
		if _, err := r.JSON(); err != nil {
			b.Fatal(err)
		}
	}
}
