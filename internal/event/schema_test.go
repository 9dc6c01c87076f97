package event

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// schema is the part of the schema file that the tests read.
type schema struct {
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Enum       []string          `json:"enum"`
	Const      any               `json:"const"`
	Text       string            `json:"description"`
}

func readSchema(t *testing.T) (s schema) {
	t.Helper()
	data, err := os.ReadFile("../../packaging/schema/event.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The schema lists the fields of records, and the words of each fixed set.
func TestSchemaIsOfRecords(t *testing.T) {
	s := readSchema(t)
	if s.Properties["v"].Const != float64(Version) {
		t.Errorf("the schema is of version %v, records are of %d", s.Properties["v"].Const, Version)
	}
	sameFields(t, "", s, reflect.TypeFor[Record]())
	sameFields(t, "returned.", s.Properties["returned"], reflect.TypeFor[Returned]())
	sameFields(t, "feedback.", s.Properties["feedback"], reflect.TypeFor[Feedback]())
	var kinds []string
	for _, k := range words(dsn.Kinds()) {
		if k != string(dsn.KindNone) { // which makes no records
			kinds = append(kinds, k)
		}
	}
	for name, want := range map[string][]string{
		"source":   words(Sources()),
		"kind":     append(kinds, "log"),
		"action":   append([]string{""}, words(dsn.Actions())...),
		"category": append([]string{""}, words(classify.Categories())...),
		"type":     append([]string{""}, words(classify.Types())...),
		"origin":   append([]string{""}, words(origin.Origins())...),
		"proof":    append([]string{""}, words(origin.Proofs())...),
		"evidence": append([]string{""}, words(classify.Rungs())...),
	} {
		if got := s.Properties[name].Enum; !slices.Equal(got, want) {
			t.Errorf("the schema has %q for %s, want %q", got, name, want)
		}
	}
}

// docs/events.md explains every field, in the order in which records have them.
func TestFieldsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## What a record says\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			got = append(got, strings.Trim(name, "`"))
		}
	}
	want := readSchema(t).Required
	want = slices.Insert(want, slices.Index(want, "action_taken"), "feedback")
	if !slices.Equal(got, want) {
		t.Errorf("docs/events.md has the fields\n%q, records have\n%q", got, want)
	}
}

func words[T ~string](list []T) (out []string) {
	for _, w := range list {
		out = append(out, string(w))
	}
	return out
}

// sameFields compares the schema of an object with the struct that is written as it.
func sameFields(t *testing.T, where string, s schema, typ reflect.Type) {
	t.Helper()
	var all, required []string
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for f := range typ.Fields() {
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous:
				walk(f.Type)
				continue
			case option == "":
				required = append(required, name)
			}
			all = append(all, name)
			if s.Properties[name].Text == "" {
				t.Errorf("the schema does not say what %s%s is", where, name)
			}
		}
	}
	walk(typ)
	if !slices.Equal(s.Required, required) {
		t.Errorf("the schema requires %q, records have %q", s.Required, required)
	}
	if len(s.Properties) != len(all) {
		t.Errorf("the schema has %d properties under %q, records have %d", len(s.Properties), where, len(all))
	}
}

// The schema refuses what is not a record.
func TestSchemaRefuses(t *testing.T) {
	const good = `{"v":1,"id":"01JDKQ3V5R8W9X0Y1Z2A3B4C5D","time":"2026-11-27T17:00:00.123Z","source":"milter","host":"mx1.example.org",` +
		`"queue_id":"4XyZ1k","client":"192.0.2.1","envelope_from":"","envelope_to":["b@lists.example.org"],"kind":"dsn","origin":"ours","proof":"ticket","bound":true,"went_to":"u@example.com",` +
		`"verp":"","token":"","recipient":"u@example.com","original_recipient":"","action":"failed","category":"mailbox-full","type":"soft",` +
		`"reason":"mailbox-full","status":"5.2.2","smtp_code":552,"remote_mta":"mx.example.com","provider":"google","diagnostic":"552 5.2.2 Full",` +
		`"rule":"google-over-quota","evidence":"text","returned":{"message_id":"x@y","from":"news@example.org","date":"","headers":{"List-Id":"l"}},` +
		`"action_taken":""}`
	edit := func(pairs ...string) string {
		out := good
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(out, pairs[i]) {
				t.Fatalf("there is no %s", pairs[i])
			}
			out = strings.Replace(out, pairs[i], pairs[i+1], 1)
		}
		return out
	}
	const verdict, none = `"category":"mailbox-full","type":"soft","reason":"mailbox-full"`, `"category":"","type":"","reason":""`
	for name, line := range map[string]string{
		"as it is":          good,
		"a field of later":  edit(`{"v":1`, `{"later":[1],"v":1`),
		"a complaint":       edit(`"kind":"dsn"`, `"feedback":{"type":"abuse","source_ip":"","arrival_date":""},"kind":"feedback"`, `"failed"`, `""`, verdict, none, `"evidence":"text"`, `"evidence":""`),
		"delivered":         edit(`"failed"`, `"delivered"`, verdict, none, `"evidence":"text"`, `"evidence":""`),
		"an address as UTF": edit(`u@example.com`, `ü@exämple.com`),
	} {
		if err := lab.CheckEvent([]byte(line)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, line := range map[string]string{
		"no JSON":                     good[1:],
		"two":                         good + good,
		"a list":                      "[" + good + "]",
		"another version":             edit(`"v":1`, `"v":2`),
		"the version as a string":     edit(`"v":1`, `"v":"1"`),
		"no id":                       edit(`"id":"01JDKQ3V5R8W9X0Y1Z2A3B4C5D",`, ``),
		"another id":                  edit(`01JDKQ3V5R8W9X0Y1Z2A3B4C5D`, `0e1f2a3b`),
		"local time":                  edit(`00.123Z`, `00.123+01:00`),
		"no such day":                 edit(`2026-11-27`, `2026-11-31`),
		"whole seconds":               edit(`00.123Z`, `00Z`),
		"another source":              edit(`"source":"milter"`, `"source":"smtp"`),
		"ordinary mail":               edit(`"kind":"dsn"`, `"kind":"none"`),
		"no envelope":                 edit(`["b@lists.example.org"]`, `null`),
		"an envelope of one":          edit(`["b@lists.example.org"]`, `"b@lists.example.org"`),
		"another origin":              edit(`"origin":"ours"`, `"origin":"theirs"`),
		"a proof of nothing":          edit(`"origin":"ours"`, `"origin":"unproven"`),
		"bound without a proof":       edit(`"origin":"ours","proof":"ticket"`, `"origin":"unproven","proof":""`),
		"bound to nobody":             edit(`"went_to":"u@example.com"`, `"went_to":""`),
		"bound in words":              edit(`"bound":true`, `"bound":"yes"`),
		"another action":              edit(`"failed"`, `"bounced"`),
		"another category":            edit(`"category":"mailbox-full"`, `"category":"full"`),
		"a category alone":            edit(`"type":"soft"`, `"type":""`),
		"a type alone":                edit(`"category":"mailbox-full"`, `"category":""`),
		"a verdict without evidence":  edit(`"evidence":"text"`, `"evidence":""`),
		"a verdict about a delivery":  edit(`"failed"`, `"delivered"`),
		"a verdict about a complaint": edit(`"kind":"dsn"`, `"kind":"feedback"`),
		"a bounce with feedback":      edit(`"kind":"dsn"`, `"feedback":{"type":"abuse","source_ip":"","arrival_date":""},"kind":"dsn"`),
		"half of feedback":            edit(`"kind":"dsn"`, `"feedback":{"type":"abuse"},"kind":"feedback"`, verdict, none, `"evidence":"text"`, `"evidence":""`),
		"a reason in words":           edit(`"reason":"mailbox-full"`, `"reason":"Mailbox full"`),
		"a status of three":           edit(`"5.2.2"`, `"3.2.2"`),
		"a code as a string":          edit(`552,`, `"552",`),
		"a line end":                  edit(`552 5.2.2 Full`, `552-5.2.2 Full\n552 more`),
		"a header of two":             edit(`"List-Id":"l"`, `"List-Id":["l","m"]`),
		"nothing returned":            edit(`"returned":{"message_id":"x@y","from":"news@example.org","date":"","headers":{"List-Id":"l"}},`, ``),
	} {
		if err := lab.CheckEvent([]byte(line)); err == nil {
			t.Errorf("%s is taken: %s", name, line)
		}
	}
}
