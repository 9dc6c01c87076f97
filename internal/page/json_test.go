package page

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What /api/v1/summary answers is as packaging/schema/summary.v1.json says, empty and full,
// and no field is missing there.
func TestSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../packaging/schema/summary.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	full, _ := testBoard(begin)
	full.SetWords(testWords)
	full.SetStatus(badStatus)
	for i, cat := range categories {
		x := Bounce{Category: cat, Type: types[i%3], Delayed: i%2 == 0, Provider: "google", Reason: "r"}
		if cat == classify.Unclassified {
			x.Reason, x.Reply = "unknown", "554 The larder of carla@example.com is stuffed"
		}
		full.times(5+i, x)
	}
	full.Error("inspect", 3)
	full.Message(dsn.KindDSN)
	full.Origin(origin.Foreign)
	full.missed.Add(2)
	empty, _ := testBoard(begin)
	for name, b := range map[string]*Board{"full": full, "empty": empty, "without a server": New(nil)} {
		w := get(t, b.JSON(), "/api/v1/summary")
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if name == "without a server" { // there is no mode without one
			v.(map[string]any)["health"].(map[string]any)["mode"] = "tag"
			v.(map[string]any)["health"].(map[string]any)["forged_headers"] = "keep"
		} else if h := v.(map[string]any)["health"].(map[string]any); h["mode"] == "" {
			h["mode"], h["forged_headers"] = "tag", "remove"
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", name, err, w.Body)
		}
		described(t, "", v, schema)
	}
}

// described checks that the schema names every field.
func described(t *testing.T, at string, v any, s *jsonschema.Schema) {
	if s == nil {
		return
	}
	for s.Ref != nil {
		s = s.Ref
	}
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			p := s.Properties[name]
			if p == nil {
				if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
					p = more
				} else {
					t.Errorf("%s.%s is not in the schema", at, name)
				}
			}
			described(t, at+"."+name, inner, p)
		}
	case []any:
		items, _ := s.Items2020, error(nil)
		for _, inner := range v {
			described(t, at+"[]", inner, items)
		}
	}
}

// The summary is the same every time, and lists are never null.
func TestStable(t *testing.T) {
	b, _ := testBoard(begin)
	for _, p := range []string{"b", "a", "c"} {
		x := bounce(classify.DMARC)
		x.Provider = p
		b.times(2, x)
	}
	first, err := json.Marshal(b.fresh())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := json.Marshal(b.fresh()); !bytes.Equal(again, first) {
			t.Fatalf("%s\n%s", first, again)
		}
	}
	if bytes.Contains(first, []byte(":null")) && !bytes.Contains(first, []byte(`"last_message":null`)) {
		t.Errorf("%s", first)
	}
}
