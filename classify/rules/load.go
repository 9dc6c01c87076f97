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
	"sort"
	"strings"
	"sync"

	"github.com/bounce-milter/bounce-milter/classify/reply"
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

	parse func() (*ruleFile, Problems) // parses Data, once
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
			problems = append(problems, Problem{File: name, Message: plain(err)})
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
	names, err := filepath.Glob(filepath.Join(globQuote(dir), "*.toml"))
	if _, statErr := os.ReadDir(dir); statErr != nil && !os.IsNotExist(statErr) {
		err = statErr
	}
	if err != nil {
		return nil, Problems{{File: dir, Message: plain(err)}}
	}
	if len(names) > maxRuleFiles {
		return nil, Problems{{File: dir, Message: fmt.Sprintf("%d rule files, at most %d are read", len(names), maxRuleFiles)}}
	}
	var files []File
	var problems Problems
	sort.Strings(names)
	for _, name := range names {
		data, err := readBounded(name)
		if err != nil {
			problems = append(problems, Problem{File: name, Message: plain(err)})
			continue
		}
		files = append(files, File{Name: name, Data: data, Admin: true})
	}
	return files, problems
}

// globQuote keeps the signs of a folder's name from being a pattern.
func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
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

// plain says an error without the path that stands before it already.
func plain(err error) string {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// Build makes a set of the data in fsys (laid out as this folder is) and of an
// administrator's files.
func Build(fsys fs.FS, admin []File) (*Set, Problems) {
	b := &builder{set: &Set{}, hash: sha256.New(), replaced: map[*Compiled]*Compiled{},
		signs: map[string]map[string]sign{"mx": {}, "reply": {}, "reporting": {}}}
	b.reasons(b.read(fsys, "reasons.toml"))
	b.advice(b.read(fsys, "advice.toml"))
	for _, f := range b.folder(fsys, "providers") {
		b.providers(f)
	}
	b.wrappers(b.read(fsys, "wrappers.toml"))
	b.codes(fsys)
	shared := b.read(fsys, "lists.toml")
	b.sharedLists(shared)
	files := b.folder(fsys, "text")
	builtIn := len(files)
	for _, f := range admin {
		b.hash.Write([]byte(f.Name))
		b.hash.Write(f.Data)
		b.set.Own = append(b.set.Own, f.Name)
		files = append(files, f)
	}
	// Parsing takes most of the time: what comes later is parsed meanwhile.
	for i := range files {
		f := &files[i]
		f.parse = sync.OnceValues(f.decode)
		go f.parse()
	}
	for _, f := range files[:builtIn] {
		b.rules(f)
	}
	for _, f := range files[builtIn:] { // rules may name the providers of every file
		data, _ := f.parse() // the problems are told with its rules
		b.addProviders(f, data.Provider)
	}
	for _, f := range files[builtIn:] {
		b.rules(f)
	}
	b.lists = b.shared
	b.unusedLists(shared.Name)
	b.applyOverrides()
	b.set.Version = hex.EncodeToString(b.hash.Sum(nil))[:12]
	b.problems.Sort()
	b.set.Warnings.Sort()
	return b.set, b.problems
}

// folder reads the files of a folder in the order of their names.
func (b *builder) folder(fsys fs.FS, name string) []File {
	names, err := fs.Glob(fsys, name+"/*.toml")
	if err != nil {
		b.complain(name, 0, "%s", plain(err))
	}
	var files []File
	for _, name := range names {
		files = append(files, b.read(fsys, name))
	}
	return files
}

func (b *builder) read(fsys fs.FS, name string) File {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		b.complain(name, 0, "%s", plain(err))
	}
	b.hash.Write([]byte(name))
	b.hash.Write(data)
	return File{Name: path.Base(name), Data: data}
}

func (b *builder) codes(fsys fs.FS) {
	c := &Codes{pairs: map[pairKey]*Pair{}, statuses: map[reply.Status]*Meaning{}, smtp: map[int]*Meaning{}}
	cb := codesBuilder{Codes: c, gists: map[string]string{}, reasons: b.reasonByID, problems: &b.problems}
	tsv := func(name string, columns int) table {
		f := b.read(fsys, "codes/"+name)
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
