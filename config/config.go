// Package config is what the administrator may say: a strict TOML file in which
// every key has a default, so that an empty file is valid.
//
// All defaults are in one literal ([Default]); a file is laid over it and the
// result validated. Every problem is reported, not only the first, each with
// file, line and the mend. What a key means, its form and its bounds stand in
// one table (keys.go), from which the messages, [Config.Show] and the packaged
// config.toml follow.
package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// DefaultPath is the file that is read when none is named, if it exists.
const DefaultPath = "/etc/bounce-milter/config.toml"

// Config is the effective configuration. What the keys mean stands in keys.go.
type Config struct {
	// File is the file that was read, "" where the built-in defaults stand alone.
	File string

	Listen          []Socket
	SocketMode      fs.FileMode
	SocketGroup     string
	User            string
	Mode            Mode
	HeaderPrefix    string
	ForgedHeaders   ForgedHeaders
	TrustedNetworks []netip.Prefix
	LookAt          LookAt
	RulesDir        string
	DrainTimeout    time.Duration

	Metrics Metrics
	Log     Log
	Limits  Limits

	lines map[string]int // line of each key set in the file, "listen[1]" for an item
}

// Mode says what happens to a bounce.
type Mode string

// The modes.
const (
	ModeTag     Mode = "tag"     // headers are added
	ModeObserve Mode = "observe" // counted and logged, nothing is changed
)

// ForgedHeaders says what happens to headers with our prefix from outside.
type ForgedHeaders string

// The ways with forged headers.
const (
	ForgedRemove ForgedHeaders = "remove" // taken off every message
	ForgedKeep   ForgedHeaders = "keep"   // left, for an MTA that strips them itself
)

// LookAt says by what the messages that are inspected are told from ordinary mail.
type LookAt string

// What is looked at.
const (
	LookAtHeader   LookAt = "header"   // the sender and every header
	LookAtEnvelope LookAt = "envelope" // the sender alone
)

// Metrics is the [metrics] table.
type Metrics struct {
	Listen Socket // zero: no metrics
}

// Log is the [log] table.
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
}

// Limits is the [limits] table: bounds on what strangers may cost.
type Limits struct {
	// Report bounds the reading of one message; its Octets are max_octets,
	// its Work is max_work.
	Report dsn.Limits

	MaxMemory       int64 // octets of all messages in progress together
	MaxSessions     int
	MaxHeaderOctets int // octets kept of one message's header
	MaxHeaderFields int // fields kept of one message's header

	NegotiateTimeout time.Duration
	IdleTimeout      time.Duration
	FrameTimeout     time.Duration
	WriteTimeout     time.Duration
}

// Default returns the built-in configuration: all defaults, in one place.
func Default() *Config {
	return &Config{
		Listen:          []Socket{{Network: "tcp", Address: "127.0.0.1:8894", Spelling: "inet:8894@127.0.0.1"}},
		SocketMode:      0o660,
		SocketGroup:     "",
		User:            "",
		Mode:            ModeTag,
		HeaderPrefix:    "X-Bounce-",
		ForgedHeaders:   ForgedRemove,
		TrustedNetworks: nil,
		LookAt:          LookAtHeader,
		RulesDir:        DefaultRulesDir,
		DrainTimeout:    5 * time.Second,
		Metrics:         Metrics{Listen: Socket{Network: "tcp", Address: "127.0.0.1:9894", Spelling: "127.0.0.1:9894"}},
		Log:             Log{Level: slog.LevelInfo, Format: "text"},
		Limits: Limits{
			Report:           dsn.DefaultLimits,
			MaxMemory:        64 << 20,
			MaxSessions:      2000,
			MaxHeaderOctets:  128 << 10,
			MaxHeaderFields:  1000,
			NegotiateTimeout: 10 * time.Second,
			IdleTimeout:      7210 * time.Second, // libmilter's own
			FrameTimeout:     30 * time.Second,
			WriteTimeout:     30 * time.Second,
		},
	}
}

// DefaultRulesDir holds the administrator's rules. Unlike a folder that the file
// names, it need not exist.
const DefaultRulesDir = "/etc/bounce-milter/rules.d"

// Load reads the file at path and lays it over the defaults. Without a path it
// reads DefaultPath if that exists, else it returns the defaults. The error is a
// [Problems] when the file says something wrong, else why it cannot be read.
func Load(path string) (*Config, error) {
	named := path != ""
	if !named {
		path = DefaultPath
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if !named && errors.Is(err, fs.ErrNotExist) {
			return Default(), nil
		}
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &FileError{Path: path, Err: err}
	}
	return Parse(path, data)
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

// Line returns the line of the file that sets a key ("metrics.listen",
// "listen[1]"), 0 where it has its default.
func (c *Config) Line(key string) int { return c.lines[key] }
