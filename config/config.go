// Package config reads the configuration: a strict TOML file in which every key
// has a default, so that an empty file is valid.
//
// It is made of the option types of the packages below, which define their
// defaults and validate their values ([milter.Config.Validate]); this package
// defines how a file writes them. A file is laid over the defaults, and the result
// is validated. Every problem is reported, not only the first, each with file, line
// and the mend. One table (keys.go) says what each key means and which form it has;
// [Config.Show] and the packaged config.toml are made from it.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/internal/files"
	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/milter"
)

// DefaultPath is the file that is read when none is named, if it exists.
const DefaultPath = "/etc/bounce-milter/config.toml"

// Config is the effective configuration: the options of the packages below, and
// what the program itself needs. keys.go says what the keys mean.
type Config struct {
	// File is the file that was read, "" if there is none but the built-in defaults.
	File string

	User     string // the user to become, "" for whoever started the daemon
	RulesDir string // folder of the administrator's rules, "" for none
	Milter   milter.Config
	Log      Log
	Events   stream.Options
	Follow   Follow

	StateFile string // where the status page is kept over a restart, "" for nowhere

	lines map[string]int // line of each key set in the file, "listen[1]" for an item
}

// Follow is the [follow] table.
type Follow struct {
	Path      string
	Listen    milter.Socket // the zero Socket turns metrics off
	StateFile string        // "" for the unit's folder, or nowhere
}

// Log is the [log] table.
type Log struct {
	Level  slog.Level
	Format string // one of logFormats
}

var (
	logLevels  = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	logFormats = []string{"text", "json"}
)

// Default returns the built-in configuration.
func Default() *Config {
	return &Config{
		RulesDir: DefaultRulesDir,
		Milter:   milter.DefaultConfig(),
		Log:      Log{Level: slog.LevelInfo, Format: "text"},
		Events:   stream.DefaultOptions(),
		Follow:   Follow{Path: "/var/log/mail.log", Listen: milter.Socket{Network: "tcp", Address: "127.0.0.1:9895"}},
	}
}

// DefaultRulesDir is the default folder of the administrator's rules. Unlike a folder
// that the file names, it need not exist.
const DefaultRulesDir = "/etc/bounce-milter/rules.d"

// Load reads the file at path and lays it over the defaults. Without a path it
// reads DefaultPath if that exists, else it returns the defaults. The error is
// [toml.Problems] if the file has mistakes, and a [FileError] if it cannot be read.
func Load(path string) (*Config, error) {
	return load(path, Parse)
}

// Examine returns everything that is wrong with the file at path, as Load does, and what
// could be read of it: nil if that is nothing. The error says why the file cannot be read.
func Examine(path string) (c *Config, ps toml.Problems, err error) {
	c, err = load(path, func(path string, data []byte) (*Config, error) {
		var part *Config
		part, ps = examine(path, data)
		return part, nil
	})
	return c, ps, err
}

// load reads the file at path, or DefaultPath without one.
func load(path string, parse func(string, []byte) (*Config, error)) (*Config, error) {
	named := path != ""
	if !named {
		path = DefaultPath
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if !named && errors.Is(err, fs.ErrNotExist) {
			return Default(), nil
		}
		return nil, &FileError{Path: path, Err: files.Why(err)}
	}
	return parse(path, data)
}

// FileError says why a configuration file cannot be read.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }

func (e *FileError) Unwrap() error { return e.Err }

// RulesFolder returns the folder to read administrator's rules from, "" where
// there is none: the default folder need not exist.
func (c *Config) RulesFolder() string {
	if c.RulesDir == DefaultRulesDir {
		if _, err := os.Stat(c.RulesDir); errors.Is(err, fs.ErrNotExist) {
			return ""
		}
	}
	return c.RulesDir
}

// RuleFiles returns the paths of the files in the folder that [Config.RulesFolder] names.
func (c *Config) RuleFiles() []string {
	dir := c.RulesFolder()
	if dir == "" {
		return nil
	}
	names, _ := filepath.Glob(filepath.Join(files.Escape(dir), "*.toml")) // only a bad pattern is an error
	return names
}

// Line returns the line of the file that sets a key ("metrics.listen",
// "listen[1]"), 0 if the key has its default. Of an item or a key that is missing it is the
// line of the list or of the table [[name]] that it is missing in.
func (c *Config) Line(key string) int {
	for key != "" {
		if line, ok := c.lines[key]; ok {
			return line
		}
		if i := strings.LastIndexByte(key, '['); i >= 0 && strings.HasSuffix(key, "]") {
			key = key[:i]
		} else {
			key, _ = cutLast(key)
		}
	}
	return 0
}

// problem says what is wrong with a key, or an item of a list ("listen[1]").
func (c *Config) problem(key, format string, args ...any) toml.Problem {
	return toml.Problem{File: c.File, Line: c.Line(key), Key: key, Message: fmt.Sprintf(format, args...)}
}

// place adds file and line to problems of keys.
func (c *Config) place(ps toml.Problems) toml.Problems {
	for i, q := range ps {
		ps[i].File, ps[i].Line = c.File, c.Line(q.Key)
	}
	return ps
}

// placeOwn does so for problems that are in no other file.
func (c *Config) placeOwn(ps toml.Problems) toml.Problems {
	for i, q := range ps {
		if q.File == "" {
			ps[i].File, ps[i].Line = c.File, c.Line(q.Key)
		}
	}
	return ps
}

// Place adds file and line to an error that is a problem of keys.
func (c *Config) Place(err error) error {
	var ps toml.Problems
	if errors.As(err, &ps) {
		return c.place(ps)
	}
	return err
}

// Refuse returns what is wrong with a key as an error.
func (c *Config) Refuse(key, format string, args ...any) error {
	return toml.Problems{c.problem(key, format, args...)}
}
