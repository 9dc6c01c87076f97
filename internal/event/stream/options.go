package stream

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/event/file"
	"github.com/bounce-milter/bounce-milter/internal/event/jetstream"
	"github.com/bounce-milter/bounce-milter/internal/event/spool"
	"github.com/bounce-milter/bounce-milter/internal/event/webhook"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Type is the type of a sink.
type Type string

// The types.
const (
	TypeFile    Type = "file"
	TypeWebhook Type = "webhook"
	TypeNATS    Type = "nats"
)

// Types are all types.
var Types = []Type{TypeFile, TypeWebhook, TypeNATS}

// Addresses says how much of an address a sink may see.
type Addresses string

// The values of Addresses.
const (
	AddressesFull   Addresses = "full"   // the whole address
	AddressesHashed Addresses = "hashed" // a keyed hash, the same for the same address
	AddressesDomain Addresses = "domain" // only what follows the "@"
)

// AllAddresses are all values of Addresses.
var AllAddresses = []Addresses{AddressesFull, AddressesHashed, AddressesDomain}

// Sync says when written records are forced to the disk.
type Sync string

// The values of Sync. In each case the kernel has the records before their mail is
// accepted, so none is lost when the daemon ends, however suddenly.
const (
	SyncNever    Sync = "never"    // when the kernel decides, within half a minute
	SyncInterval Sync = "interval" // once a second
	SyncAlways   Sync = "always"   // before the mail is accepted
)

// Syncs are all values of Sync.
var Syncs = []Sync{SyncNever, SyncInterval, SyncAlways}

// Options are an administrator's settings of events. Without sinks there are no events.
type Options struct {
	Spool           string // folder, "" to keep waiting records in memory
	SpoolMax        int64  // octets that the spool may hold
	Sync            Sync
	ReturnedHeaders []string // fields of the returned message that a record has in addition to AlwaysReturned
	Sinks           []SinkOptions
}

// SinkOptions are an administrator's settings of a sink. Of File, Webhook and NATS, only the
// one of its Type is used.
type SinkOptions struct {
	Name           string
	Type           Type
	Addresses      Addresses
	AddressKeyFile string // file with the key of AddressesHashed

	File    file.Options
	Webhook webhook.Options
	NATS    jetstream.Options
}

// DefaultOptions returns the defaults, without a sink.
func DefaultOptions() Options {
	return Options{SpoolMax: 256 << 20, Sync: SyncInterval, ReturnedHeaders: slices.Clone(AlwaysReturned[:2])}
}

// DefaultSink returns the defaults of a sink.
func DefaultSink() SinkOptions {
	return SinkOptions{Addresses: AddressesFull, Webhook: webhook.DefaultOptions(),
		NATS: jetstream.Options{Subject: "bounces.{category}"}}
}

// Headers returns the names of the fields of returned messages that a record has, each once.
func (o *Options) Headers() []string {
	list := slices.Clone(AlwaysReturned)
	for _, h := range o.ReturnedHeaders {
		if !slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, h) }) {
			list = append(list, h)
		}
	}
	return list
}

// AlwaysReturned are the fields of returned messages that every record has: those that name
// a list or a campaign.
var AlwaysReturned = []string{"List-Id", "Feedback-ID", "X-Campaign-ID", "X-Listmonk-Campaign", "X-Listmonk-Subscriber"}

// Bounds of the options.
const (
	minSpool   = 16 << 20 // two segments
	maxSpool   = 1 << 40
	maxSinks   = 32
	maxHeaders = 32
	maxName    = 32 // octets of the name of a sink
	maxField   = 64 // of that of a header field

	goodKey = 16 // octets from which a key cannot be guessed
)

var (
	sinkName   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	headerName = regexp.MustCompile(`^[!-9;-~]+$`) // RFC 5322 section 2.2
)

// Validate returns every error in o. The keys are those of the configuration file.
func (o *Options) Validate() toml.Problems {
	var ps toml.Problems
	if o.Spool != "" && !filepath.IsAbs(o.Spool) {
		ps.Add("events.spool", "%q is a relative path: write it from the root", o.Spool)
	}
	if o.SpoolMax < minSpool || o.SpoolMax > maxSpool {
		ps.Add("events.spool_max", "%s is out of bounds: write a size from %s to %s",
			toml.Size(o.SpoolMax), toml.Size(minSpool), toml.Size(maxSpool))
	}
	checkWord(&ps, "events.sync", o.Sync, Syncs)
	if len(o.ReturnedHeaders) > maxHeaders {
		ps.Add("events.returned_headers", "has %d names: write %d at most", len(o.ReturnedHeaders), maxHeaders)
	}
	for i, h := range o.ReturnedHeaders {
		if len(h) > maxField || !headerName.MatchString(h) {
			ps.Add(fmt.Sprintf("events.returned_headers[%d]", i), `%q is not the name of a header field: write one without the ":", as in "List-Id"`, h)
		}
	}
	if len(o.Sinks) > maxSinks {
		ps.Add("events.sink", "there are %d: write %d at most", len(o.Sinks), maxSinks)
	}
	seen, paths := map[string]bool{}, map[string]bool{}
	for i := range o.Sinks {
		s := &o.Sinks[i]
		key := fmt.Sprintf("events.sink[%d]", i)
		switch {
		case s.Name == "":
			ps.Add(key+".name", "is missing: write a name for metrics and log, as in name = \"crm\"")
		case len(s.Name) > maxName || !sinkName.MatchString(s.Name):
			ps.Add(key+".name", `%q is not a valid name: write at most 32 small letters, digits, "-" and "_", the first a letter or a digit`, s.Name)
		case seen[s.Name]:
			ps.Add(key+".name", "another sink has the name %q: give each its own", s.Name)
		}
		seen[s.Name] = true
		s.check(&ps, key)
		if s.Type != TypeFile || s.File.Path == "" {
			continue
		}
		// After a write that failed, one would take back a line of the other.
		path := filepath.Clean(s.File.Path)
		if paths[path] {
			ps.Add(key+".path", "another sink writes to %q: give each its own", s.File.Path)
		}
		paths[path] = true
	}
	return ps
}

// check adds the errors in one sink.
func (s *SinkOptions) check(ps *toml.Problems, key string) {
	switch s.Type {
	case "":
		ps.Add(key+".type", "is missing: write %s", toml.OneOf(Types))
	case TypeFile:
		s.File.Check(ps, key)
	case TypeWebhook:
		s.Webhook.Check(ps, key)
	case TypeNATS:
		s.NATS.Check(ps, key)
	default:
		ps.Add(key+".type", "%q is not a type of sink: write %s", s.Type, toml.OneOf(Types))
	}
	checkWord(ps, key+".addresses", s.Addresses, AllAddresses)
	switch {
	case s.Type == TypeWebhook && s.Webhook.Format == webhook.FormatListmonk && s.Addresses != AddressesFull:
		ps.Add(key+".addresses", `%q does not let listmonk find the subscriber: write "full"`, s.Addresses)
	case s.Addresses == AddressesHashed && s.AddressKeyFile == "":
		ps.Add(key+".address_key_file", "is missing: name a file with a random key, made by head -c 32 /dev/urandom | base64")
	case s.AddressKeyFile != "" && !filepath.IsAbs(s.AddressKeyFile):
		ps.Add(key+".address_key_file", "%q is a relative path: write it from the root", s.AddressKeyFile)
	}
}

// CheckHost returns what the options refer to and this host does not have, for a daemon that
// runs as user uid. uid is -1 if it is not known.
func (o *Options) CheckHost(uid int) toml.Problems {
	var ps toml.Problems
	if o.Spool != "" && len(o.Sinks) > 0 {
		if err := spool.CheckFolder(o.Spool, uid); err != nil {
			ps.Add("events.spool", "%v", err)
		}
	}
	for i := range o.Sinks {
		s := &o.Sinks[i]
		key := fmt.Sprintf("events.sink[%d]", i)
		switch s.Type {
		case TypeFile:
			s.File.CheckHost(&ps, key)
		case TypeWebhook:
			s.Webhook.CheckHost(&ps, key)
		case TypeNATS:
			s.NATS.CheckHost(&ps, key)
		}
		if s.Addresses == AddressesHashed && s.AddressKeyFile != "" {
			event.CheckSecret(&ps, key+".address_key_file", s.AddressKeyFile)
		}
	}
	return ps
}

// CheckRoom returns a temporary problem of this host, a disk that is full. The daemon serves
// mail all the same.
func (o *Options) CheckRoom() toml.Problems {
	var ps toml.Problems
	if o.Spool != "" && len(o.Sinks) > 0 {
		if err := spool.CheckRoom(o.Spool); err != nil {
			ps.Add("events.spool", "%v", err)
		}
	}
	return ps
}

// Warn returns settings that work but allow others to read or forge records, or by which
// records may be lost.
func (o *Options) Warn() toml.Problems {
	var ps toml.Problems
	for i := range o.Sinks {
		s := &o.Sinks[i]
		if s.Type == TypeWebhook {
			s.Webhook.Warn(&ps, fmt.Sprintf("events.sink[%d]", i))
		}
		if s.Addresses != AddressesHashed {
			continue
		}
		// If the file cannot be read, CheckHost says why.
		if key, err := event.ReadSecret(s.AddressKeyFile); err == nil && len(key) < goodKey {
			ps.Add(fmt.Sprintf("events.sink[%d].address_key_file", i),
				"the key in %s has only %d octets, and whoever guesses it can find out addresses: "+
					"write at least %d, made by head -c 32 /dev/urandom | base64", s.AddressKeyFile, len(key), goodKey)
		}
	}
	return ps
}

// Secrets returns the files that the daemon's user must be able to read.
func (o *Options) Secrets() []string {
	var files []string
	for i := range o.Sinks {
		files = append(files, o.Sinks[i].files()...)
	}
	return files
}

// files are the files that a sink reads when it is opened.
func (o *SinkOptions) files() []string {
	list := []string{o.AddressKeyFile}
	switch o.Type {
	case TypeWebhook:
		list = append(list, o.Webhook.SecretFile, o.Webhook.CAFile)
	case TypeNATS:
		list = append(list, o.NATS.CredentialsFile, o.NATS.CAFile, o.NATS.CertFile, o.NATS.KeyFile)
	}
	return slices.DeleteFunc(list, func(f string) bool { return f == "" })
}

func checkWord[T ~string](ps *toml.Problems, key string, word T, all []T) {
	if !slices.Contains(all, word) {
		ps.Add(key, "%q is not a choice here: write %s", strings.ToValidUTF8(string(word), "?"), toml.OneOf(all))
	}
}
