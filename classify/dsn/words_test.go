package dsn

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// noticeFolders are the folders of messages without a status part, and what
// every message in them is.
var noticeFolders = map[string]Kind{
	"notice":           KindText,
	"notice-none":      KindNone,
	"notice-autoreply": KindAutoReply,
}

// TestNoticeFixtures reads whole messages: bounces in words of every format
// that the data know, mail that only looks like a bounce, automatic replies.
// Beside each bounce is what it must be read as (-update rewrites it); for the
// others the folder says it all.
func TestNoticeFixtures(t *testing.T) {
	for folder, kind := range noticeFolders {
		paths, err := filepath.Glob("testdata/" + folder + "/*.eml")
		if err != nil || len(paths) < 10 {
			t.Fatalf("%s: %d fixtures, %v", folder, len(paths), err)
		}
		for _, path := range paths {
			t.Run(folder+"/"+filepath.Base(path), func(t *testing.T) {
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				r := Read(context.Background(), raw, Limits{})
				if r.Kind != kind {
					t.Fatalf("kind %s, want %s", r.Kind, kind)
				}
				if kind != KindText {
					if len(r.Recipients) > 0 {
						t.Errorf("recipients %+v", r.Recipients)
					}
					return
				}
				compareStated(t, strings.TrimSuffix(path, ".eml")+".json", r)
			})
		}
	}
}

// compareStated compares a report with the one written in a file.
func compareStated(t *testing.T, path string, r *Report) {
	t.Helper()
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(stated(t, r)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
	}
}
