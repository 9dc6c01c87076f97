package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/files"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Limits on an administrator's rules, so that a wrong folder in the
// configuration costs an error instead of the machine's memory.
const (
	maxRuleFile  = 4 << 20 // octets
	maxRuleFiles = 1000
	maxPhrase    = 500 // octets of one phrase
)

// File is one rule file to be read.
type File struct {
	Name  string
	Data  []byte
	Admin bool
}

func (f *File) parse(without ...string) (*ruleFile, Problems) {
	var data ruleFile
	problems := toml.DecodeWithout(f.Name, f.Data, &data, without...)
	return &data, problems
}

// Load reads the embedded data and, unless adminDir is "", the rule files
// *.toml in it. Every problem is returned; the set is usable only when there
// is none.
func Load(adminDir string, extra ...string) (*Set, Problems) {
	admin, problems := AdminFiles(adminDir)
	for _, name := range extra {
		if slices.ContainsFunc(admin, func(f File) bool { return sameFile(f.Name, name) }) {
			continue // named beside the folder that it is in
		}
		data, err := readBounded(name)
		if err != nil {
			problems = append(problems, Problem{File: name, Message: files.Why(err).Error()})
			continue
		}
		admin = append(admin, File{Name: name, Data: data, Admin: true})
	}
	set, more := Build(embedded, admin)
	return set, append(problems, more...)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// AdminFiles reads the rule files of a folder in the order of their names. A
// folder that does not exist holds no rules; that is no error, for the default
// folder need not exist.
func AdminFiles(dir string) ([]File, Problems) {
	if dir == "" {
		return nil, nil
	}
	names, err := filepath.Glob(filepath.Join(files.Escape(dir), "*.toml"))
	if _, statErr := os.ReadDir(dir); statErr != nil && !os.IsNotExist(statErr) {
		err = statErr
	}
	if err != nil {
		return nil, Problems{{File: dir, Message: files.Why(err).Error()}}
	}
	if len(names) > maxRuleFiles {
		return nil, Problems{{File: dir, Message: fmt.Sprintf("%d rule files, at most %d are read", len(names), maxRuleFiles)}}
	}
	var list []File
	var problems Problems
	slices.Sort(names)
	for _, name := range names {
		data, err := readBounded(name)
		if err != nil {
			problems = append(problems, Problem{File: name, Message: files.Why(err).Error()})
			continue
		}
		list = append(list, File{Name: name, Data: data, Admin: true})
	}
	return list, problems
}

func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("not a regular file")
	case info.Size() > maxRuleFile:
		return nil, fmt.Errorf("%d octets, at most %d are read", info.Size(), maxRuleFile)
	}
	return os.ReadFile(name)
}

// Build makes a set of the data in fsys (laid out as this folder is) and of an
// administrator's files.
func Build(fsys fs.FS, admin []File) (*Set, Problems) {
	b := &builder{set: &Set{}, replaced: map[*Compiled]*Compiled{}, seen: map[string]seenPhrase{},
		tested: fsys == fs.FS(embedded),
		signs:  map[string]map[string]sign{"mx": {}, "reply": {}, "reporting": {}}}
	b.readAll(fsys)
	b.reasons(b.file("reasons.toml"))
	b.advice(b.file("advice.toml"))
	for _, f := range b.folder("providers") {
		b.providers(f)
	}
	b.wrappers(b.file("wrappers.toml"))
	b.codes()
	shared := b.file("lists.toml")
	b.sharedLists(shared)
	for _, f := range b.folder("text") {
		if !b.tested {
			data, problems := f.parse()
			b.rules(f, data, problems)
			continue
		}
		data, problems := f.parse("examples", "not_examples")
		before := len(b.set.Rules)
		b.rules(f, data, problems)
		later := &laterExamples{file: f.Name, rules: slices.Clone(b.set.Rules[before:])}
		for _, r := range later.rules {
			r.later = later
		}
	}
	b.tested = false
	own := make([]*ruleFile, len(admin))
	wrong := make([]Problems, len(admin))
	for i, f := range admin { // rules may name the providers of every file
		b.set.Own = append(b.set.Own, f.Name)
		own[i], wrong[i] = f.parse()
		b.addProviders(f, own[i].Provider)
	}
	for i, f := range admin {
		b.rules(f, own[i], wrong[i])
	}
	b.lists = b.shared
	b.unusedLists(shared.Name)
	b.applyOverrides()
	b.set.Version = version(b.files, admin)
	b.problems.Sort()
	b.set.Warnings.Sort()
	return b.set, b.problems
}

// Version is the [Set.Version] of the embedded data alone. It takes no parsing.
func Version() string {
	var b builder
	b.readAll(embedded)
	return version(b.files, nil)
}

// readAll reads all data.
func (b *builder) readAll(fsys fs.FS) {
	for _, pattern := range []string{"reasons.toml", "advice.toml", "providers/*.toml", "wrappers.toml",
		"codes/gists.tsv", "codes/seed.tsv", "codes/status.tsv", "codes/smtp.tsv", "lists.toml", "text/*.toml"} {
		names := []string{pattern}
		if strings.Contains(pattern, "*") {
			var err error
			if names, err = fs.Glob(fsys, pattern); err != nil {
				b.complain(pattern, 0, "%v", files.Why(err))
			}
		}
		for _, name := range names {
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				b.complain(name, 0, "%v", files.Why(err))
			}
			b.files = append(b.files, File{Name: name, Data: data})
		}
	}
}

// version hashes all data.
func version(files, admin []File) string {
	hash := sha256.New()
	for _, f := range slices.Concat(files, admin) {
		hash.Write([]byte(f.Name))
		hash.Write(f.Data)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

// folder returns the files of a folder in the order of their names.
func (b *builder) folder(name string) []File {
	var files []File
	for _, f := range b.files {
		if path.Dir(f.Name) == name {
			files = append(files, File{Name: path.Base(f.Name), Data: f.Data})
		}
	}
	return files
}

// file returns one file.
func (b *builder) file(name string) File {
	i := slices.IndexFunc(b.files, func(f File) bool { return f.Name == name })
	return File{Name: path.Base(name), Data: b.files[i].Data}
}

func (b *builder) codes() {
	c := &Codes{pairs: map[pairKey]*Pair{}, statuses: map[reply.Status]*Meaning{}, smtp: map[int]*Meaning{}}
	cb := codesBuilder{Codes: c, gists: map[string]string{}, reasons: b.reasonByID, problems: &b.problems}
	tsv := func(name string, columns int) table {
		f := b.file("codes/" + name)
		return parseTable(name, string(f.Data), columns, cb.problems)
	}
	for _, r := range tsv("gists.tsv", 2).rows {
		cb.gists[r.cell[0]] = r.cell[1]
	}
	cb.addSeed(tsv("seed.tsv", 4))
	cb.addStatuses(tsv("status.tsv", 4))
	cb.addSMTP(tsv("smtp.tsv", 4))
	b.set.Codes = c
}
