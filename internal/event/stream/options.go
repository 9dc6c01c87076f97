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

// Type is what kind of a sink it is.
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

// What of an address a sink sees.
const (
	AddressesFull   Addresses = "full"   // all
	AddressesHashed Addresses = "hashed" // a keyed hash, the same for the same address
	AddressesDomain Addresses = "domain" // what stands behind its "@"
)

// AllAddresses are all ways with addresses.
var AllAddresses = []Addresses{AddressesFull, AddressesHashed, AddressesDomain}

// Sync says when records that were written are forced to the disk.
type Sync string

// When to sync. Records are in the kernel in each case before the mail they are about
// is accepted: an end of the daemon, however sudden, loses none.
const (
	SyncNever    Sync = "never"    // when the kernel likes, within half a minute
	SyncInterval Sync = "interval" // once a second
	SyncAlways   Sync = "always"   // before the mail is accepted
)

// Syncs are all ways to sync.
var Syncs = []Sync{SyncNever, SyncInterval, SyncAlways}

// Options is what an administrator may say of events. Without sinks there are none.
type Options struct {
	Spool           string // folder, "" for none: what waits is kept in memory
	SpoolMax        int64  // octets that the spool may hold
	Sync            Sync
	ReturnedHeaders []string // fields of the returned message that a record has, beside AlwaysReturned
	Sinks           []SinkOptions
}

// SinkOptions is what an administrator may say of a sink. Of File, Webhook and NATS that
// of its type is used.
type SinkOptions struct {
	Name           string
	Type           Type
	Addresses      Addresses
	AddressKeyFile string // key of AddressesHashed

	File    file.Options
	Webhook webhook.Options
	NATS    jetstream.Options
}

// DefaultOptions returns what holds where nothing is said: no sink.
func DefaultOptions() Options {
	return Options{SpoolMax: 256 << 20, Sync: SyncInterval, ReturnedHeaders: slices.Clone(AlwaysReturned[:2])}
}

// DefaultSink returns what holds of a sink where nothing is said.
func DefaultSink() SinkOptions {
	return SinkOptions{Addresses: AddressesFull, Webhook: webhook.DefaultOptions(),
		NATS: jetstream.Options{Subject: "bounces.{category}"}}
}

// Headers are the fields of returned messages that a record has, each once.
func (o *Options) Headers() []string {
	list := slices.Clone(AlwaysReturned)
	for _, h := range o.ReturnedHeaders {
		if !slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, h) }) {
			list = append(list, h)
		}
	}
	return list
}

// AlwaysReturned are the fields of returned messages that are wanted often: those that
// name a list or a campaign.
var AlwaysReturned = []string{"List-Id", "Feedback-ID", "X-Campaign-ID", "X-Listmonk-Campaign", "X-Listmonk-Subscriber"}

// Bounds of what may be said.
const (
	minSpool   = 16 << 20 // two segments
	maxSpool   = 1 << 40
	maxSinks   = 32
	maxHeaders = 32

	goodKey = 16 // octets of a key that nobody guesses
)

var (
	sinkName   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	headerName = regexp.MustCompile(`^[!-9;-~]{1,64}$`) // RFC 5322 section 2.2
)

// Validate returns everything that is wrong with o. The keys are those of the
// configuration file.
func (o *Options) Validate() toml.Problems {
	var ps toml.Problems
	if o.Spool != "" && !filepath.IsAbs(o.Spool) {
		ps.Add("events.spool", "%q is a relative path: write it from the root", o.Spool)
	}
	if o.SpoolMax < minSpool || o.SpoolMax > maxSpool {
		ps.Add("events.spool_max", "%s is out of bounds: write a size from %s to %s", toml.Size(o.SpoolMax), toml.Size(minSpool), toml.Size(maxSpool))
	}
	checkWord(&ps, "events.sync", o.Sync, Syncs)
	if len(o.ReturnedHeaders) > maxHeaders {
		ps.Add("events.returned_headers", "has %d names: write %d at most", len(o.ReturnedHeaders), maxHeaders)
	}
	for i, h := range o.ReturnedHeaders {
		if !headerName.MatchString(h) {
			ps.Add(fmt.Sprintf("events.returned_headers[%d]", i), `%q is no name of a header field: write one, without its ":", as in "List-Id"`, h)
		}
	}
	if len(o.Sinks) > maxSinks {
		ps.Add("events.sink", "there are %d: write %d at most", len(o.Sinks), maxSinks)
	}
	seen := map[string]bool{}
	for i := range o.Sinks {
		s := &o.Sinks[i]
		key := fmt.Sprintf("events.sink[%d]", i)
		switch {
		case s.Name == "":
			ps.Add(key+".name", "is missing: write a name for metrics and log, as in name = \"crm\"")
		case !sinkName.MatchString(s.Name):
			ps.Add(key+".name", `%q is no name: write at most 32 small letters, digits, "-" and "_", the first a letter or a digit`, s.Name)
		case seen[s.Name]:
			ps.Add(key+".name", "another sink has the name %q: give each its own", s.Name)
		}
		seen[s.Name] = true
		s.check(&ps, key)
	}
	return ps
}

// check adds what is wrong with a sink itself.
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
		ps.Add(key+".type", "%q is no type of sink: write %s", s.Type, toml.OneOf(Types))
	}
	checkWord(ps, key+".addresses", s.Addresses, AllAddresses)
	switch {
	case s.Type == TypeWebhook && s.Webhook.Format == webhook.FormatListmonk && s.Addresses != AddressesFull:
		ps.Add(key+".addresses", `%q leaves listmonk nothing to find a subscriber by: write "full"`, s.Addresses)
	case s.Addresses == AddressesHashed && s.AddressKeyFile == "":
		ps.Add(key+".address_key_file", "is missing: name a file with a random key, as head -c 32 /dev/urandom | base64 makes one")
	case s.AddressKeyFile != "" && !filepath.IsAbs(s.AddressKeyFile):
		ps.Add(key+".address_key_file", "%q is a relative path: write it from the root", s.AddressKeyFile)
	}
}

// CheckHost returns what the options name and this host lacks, for a daemon that runs as
// the user of a number, -1 where it is not known.
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

// CheckRoom returns what is wrong with this host for now: it ends by itself or with some
// tidying, and the daemon serves mail with it.
func (o *Options) CheckRoom() toml.Problems {
	var ps toml.Problems
	if o.Spool != "" && len(o.Sinks) > 0 {
		if err := spool.CheckRoom(o.Spool); err != nil {
			ps.Add("events.spool", "%v", err)
		}
	}
	return ps
}

// Warn returns what works and lets others read records, forge them, or lose them.
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
		// CheckHost says why it cannot be read.
		if key, err := event.ReadSecret(s.AddressKeyFile); err == nil && len(key) < goodKey {
			ps.Add(fmt.Sprintf("events.sink[%d].address_key_file", i), "the key in %s has %d octets, so that who guesses it knows the addresses: write %d at least, as head -c 32 /dev/urandom | base64 makes them",
				s.AddressKeyFile, len(key), goodKey)
		}
	}
	return ps
}

// Secrets returns the files that the daemon's user has to be able to read.
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
		list = append(list, o.NATS.CredentialsFile, o.NATS.CAFile)
	}
	return slices.DeleteFunc(list, func(f string) bool { return f == "" })
}

func checkWord[T ~string](ps *toml.Problems, key string, word T, all []T) {
	if !slices.Contains(all, word) {
		ps.Add(key, "%q is not a choice here: write %s", strings.ToValidUTF8(string(word), "?"), toml.OneOf(all))
	}
}
