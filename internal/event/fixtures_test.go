package event

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// Every message in the project's testdata, read as the daemon reads it, makes records that
// match the schema.
func TestSchemaOfFixtures(t *testing.T) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[dsn.Kind]int{}
	for _, pattern := range []string{"testdata/mails/*.eml", "dsn/testdata/*/*.eml"} {
		files, err := filepath.Glob(filepath.Join("../../classify", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no fixtures in %s (%v)", pattern, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			res := engine.Classify(t.Context(), raw)
			for _, r := range Build(&res, Envelope{Time: time.Now(), Source: SourceClassify, Host: "mx1.example.org", To: []string{"b@example.org"}}) {
				line, err := r.JSON()
				if err != nil {
					t.Fatal(err)
				}
				if err := lab.CheckEvent(line); err != nil {
					t.Errorf("%s: %v\n%s", file, err, line)
				}
				seen[r.Kind]++
			}
		}
	}
	for _, k := range dsn.Kinds() {
		if k != dsn.KindNone && seen[k] == 0 {
			t.Errorf("no record is of kind %s", k)
		}
	}
	t.Logf("records: %v", seen)
}
