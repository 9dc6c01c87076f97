package page

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
)

// used is a Board that has seen something of everything in three days.
func used() (*Board, *clock) {
	b, c := testBoard(begin)
	b.SetWords(testWords)
	for i := range 3 * 24 {
		x := bounce(categories[i%len(categories)])
		x.Provider, x.Reason, x.Delayed = fmt.Sprint("provider", i%5), "mailbox-full", i%3 == 0
		b.times(1+i%4, x)
		b.Message(dsn.KindDSN)
		b.Origin(origin.Ours)
		c.pass(time.Hour)
	}
	x := bounce(classify.Unclassified)
	x.Reply, x.Address = "554 The larder of carla is stuffed", "carla@example.com"
	b.times(3, x)
	b.Error("inspect", 2)
	b.takeOver()
	return b, c
}

// No reply of a stranger makes a state that the next process cannot read.
func TestHostileRestart(t *testing.T) {
	b, _ := testBoard(begin)
	b.SetWords(testWords)
	x := bounce(classify.Unclassified)
	x.Provider = strings.Repeat("p", 2*maxName)
	for _, s := range hostile {
		x.Reply, x.Address, x.Original = s, "<script>"+s, "x@"+s
		b.times(1, x)
	}
	b.takeOver()
	path := filepath.Join(t.TempDir(), "state")
	b.SetFile(path)
	b.Save(silent)
	next, _ := testBoard(begin)
	if err := next.Restore(path); err != nil {
		t.Fatal(err)
	}
	if got, want := next.fresh().Replies, b.fresh().Replies; len(got) < 8 || len(got) != len(want) {
		t.Errorf("%d replies, want %d", len(got), len(want))
	}
}

// A restart changes nothing but the age of things, also with the clock set meanwhile.
func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		name       string
		down, aged time.Duration
	}{
		{"at once", 0, 0},
		{"after seven minutes", 7 * time.Minute, 7 * time.Minute},
		{"after half a day", 12 * time.Hour, 12 * time.Hour},
		{"with a clock that was set back", -3 * time.Hour, 0},
	} {
		path := filepath.Join(t.TempDir(), "state")
		old, c := used()
		old.SetFile(path)
		old.Save(silent)
		start := c.now().Add(tt.down)
		b, c2 := testBoard(start)
		b.SetWords(testWords)
		if err := b.Restore(path); err != nil {
			t.Fatal(err)
		}
		c.pass(tt.aged)
		got, want := b.fresh(), old.fresh()
		for name, w := range want.Windows {
			g := got.Windows[name]
			if tt.aged%time.Hour != 0 && name == "7d" {
				continue // its bars end with the hour
			}
			if g.Bounces != w.Bounces || fmt.Sprint(g.Categories, g.Types, g.Origins, g.Messages, g.Errors, g.Delayed) !=
				fmt.Sprint(w.Categories, w.Types, w.Origins, w.Messages, w.Errors, w.Delayed) ||
				fmt.Sprint(g.Reasons) != fmt.Sprint(w.Reasons) || fmt.Sprint(g.Providers) != fmt.Sprint(w.Providers) {
				t.Errorf("%s, %s: %+v\nwant %+v", tt.name, name, g, w)
			}
		}
		if fmt.Sprint(got.Rising) != fmt.Sprint(want.Rising) {
			t.Errorf("%s: rising %+v, want %+v", tt.name, got.Rising, want.Rising)
		}
		if len(got.Replies) != 1 || got.Replies[0].Text != "554 The larder of [name] is stuffed" || got.Replies[0].Times != 3 || got.Replies[0].Rule != want.Replies[0].Rule {
			t.Errorf("%s: replies %+v", tt.name, got.Replies)
		}
		if age, want := start.Sub(got.Since), 72*time.Hour+tt.aged; age != want {
			t.Errorf("%s: counted for %v, want %v", tt.name, age, want)
		}
		if age := start.Sub(*got.Passing.LastBounce); age != tt.aged {
			t.Errorf("%s: the last bounce was %v ago, want %v", tt.name, age, tt.aged)
		}
		c2.pass(time.Minute)
		b.times(1, bounce(classify.DMARC))
		if n := b.fresh().Windows["1h"].Categories["dmarc"]; n < 1 {
			t.Errorf("%s: it does not go on", tt.name)
		}
	}
}

// After eight days nothing is left, and what was counted then is not counted as now.
func TestRestartMuchLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	old, c := used()
	old.SetFile(path)
	old.Save(silent)
	b, _ := testBoard(c.now().Add(8 * 24 * time.Hour))
	if err := b.Restore(path); err != nil {
		t.Fatal(err)
	}
	if n := b.fresh().Windows["7d"].Bounces; n != 0 {
		t.Errorf("%d bounces", n)
	}
}

// A file that is not as it should be is not taken over, and the error says what to do; one
// that is not ours is not written over.
func TestBadStateFile(t *testing.T) {
	good := func() []byte {
		path := filepath.Join(t.TempDir(), "good")
		b, _ := used()
		b.SetFile(path)
		b.Save(silent)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}()
	for _, tt := range []struct {
		name   string
		data   []byte
		mode   fs.FileMode
		make   func(path string) error
		want   string
		anew   bool // it is written anew
		owner  int
		asRoot bool
	}{
		{name: "cut", data: good[:len(good)-5], want: "is cut off or damaged: it is written anew", anew: true},
		{name: "cut in its head", data: good[:30], want: "is cut off or damaged: it is written anew", anew: true},
		{name: "cut in its name", data: good[:5], want: "is cut off or damaged: it is written anew", anew: true},
		{name: "empty", data: nil, want: "is empty: it is written anew", anew: true},
		{name: "damaged", data: append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]+1), want: "is cut off or damaged", anew: true},
		{name: "longer", data: append(bytes.Clone(good), 0), want: "is cut off or damaged", anew: true},
		{name: "newer", data: bytes.Replace(good, []byte("\n1 "), []byte("\n2 "), 1), want: "is of version 2, while this program knows version 1", anew: true},
		{name: "something else", data: []byte("root:x:0:0"), want: "is no state file of this program, and is left alone: name another file"},
		{name: "for all to write", data: good, mode: 0o666, want: "others may write (mode 0666): take that from them (chmod 600)"},
		{name: "of another user", data: good, owner: 4711, asRoot: true, want: "belongs to user 4711, while the daemon runs as user 0: give it to that user (chown)"},
		{name: "a folder", make: func(p string) error { return os.Mkdir(p, 0o700) }, want: "is not a file: name a file in metrics.state_file"},
		{name: "a link", make: func(p string) error { return os.Symlink("/etc/passwd", p) }, want: "is a symbolic link: name the file itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.asRoot && os.Geteuid() != 0 {
				return // only root can give a file away
			}
			path := filepath.Join(t.TempDir(), "state")
			if tt.make == nil {
				tt.make = func(p string) error { return os.WriteFile(p, tt.data, 0o600) }
			}
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			if tt.mode != 0 {
				if err := os.Chmod(path, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			if tt.owner != 0 {
				if err := os.Chown(path, tt.owner, -1); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := os.Lstat(path)
			b, _ := testBoard(begin)
			err := b.Restore(path)
			if err == nil || !strings.Contains(err.Error(), path+", which "+tt.want) {
				t.Fatalf("got %v\nwant %s", err, tt.want)
			}
			if n := b.fresh().Windows["7d"].Bounces; n != 0 {
				t.Errorf("%d bounces are taken over", n)
			}
			b.times(1, bounce(classify.DMARC))
			var said bytes.Buffer
			b.Save(slog.New(slog.NewTextHandler(&said, nil)))
			b.Save(slog.New(slog.NewTextHandler(&said, nil)))
			after, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := testBoard(begin)
			err = again.Restore(path)
			if tt.anew {
				if err != nil || again.fresh().Windows["7d"].Bounces != 1 || said.Len() != 0 {
					t.Errorf("it is not written anew: %v %s", err, &said)
				}
				return
			}
			if !os.SameFile(before, after) || err == nil {
				t.Error("it is written over")
			}
			if s := b.fresh(); len(s.Trouble) != 1 || s.Trouble[0].ID != "state-file" || strings.Count(said.String(), "\n") != 1 {
				t.Errorf("trouble %+v, log %s", s.Trouble, &said)
			}
			// Once that is mended it is kept again.
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			b.Save(slog.New(slog.NewTextHandler(&said, nil)))
			if s := b.fresh(); len(s.Trouble) != 0 || !strings.Contains(said.String(), "is kept again") {
				t.Errorf("trouble %+v, log %s", s.Trouble, &said)
			}
		})
	}
}

func TestNoStateFile(t *testing.T) {
	b, _ := testBoard(begin)
	if err := b.Restore(""); err != nil {
		t.Error(err)
	}
	b.Save(silent)
	path := filepath.Join(t.TempDir(), "none", "state")
	if err := b.Restore(path); err != nil {
		t.Error(err)
	}
	b.Save(silent)
	if s := b.fresh(); len(s.Trouble) != 1 || !strings.Contains(s.Trouble[0].Text, "cannot be written (no such file or directory): let the daemon's user write") {
		t.Errorf("%+v", s.Trouble)
	}
	if err := b.Restore(filepath.Dir(filepath.Dir(path))); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
}

// Nobody can make a state file that harms, with the right checksum or not.
func FuzzDecode(f *testing.F) {
	b, _ := used()
	b.mu.Lock()
	f.Add(b.encode())
	b.mu.Unlock()
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{2}, 50))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, c := testBoard(begin)
		b.mu.Lock()
		err := b.decode(body)
		b.mu.Unlock()
		if err == nil {
			b.fresh()
			c.pass(time.Hour)
			b.times(1, bounce(classify.DMARC))
			b.mu.Lock()
			again := b.encode()
			b.mu.Unlock()
			other, _ := testBoard(c.now())
			other.mu.Lock()
			defer other.mu.Unlock()
			if err := other.decode(again); err != nil {
				t.Fatalf("what was taken over is written as something that cannot be read: %v", err)
			}
		}
	})
}
