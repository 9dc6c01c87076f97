// Package jetstream publishes records to a stream of NATS.
package jetstream

import (
	"errors"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Options is what an administrator may say of a NATS sink.
type Options struct {
	Servers         []string // "nats://host:4222", "tls://…"
	Subject         string   // "bounces.{category}"
	Stream          string   // the stream that has to take it, "" for whichever listens
	CredentialsFile string
	CAFile          string // certificates to trust beside the host's own, "" for none
}

// Check adds what is wrong with the options, whose keys in the file stand below key:
// "events.sink[0]" makes "events.sink[0].subject".
func (o *Options) Check(ps *toml.Problems, key string) {}

// CheckHost adds what the options name and this host lacks.
func (o *Options) CheckHost(ps *toml.Problems, key string) {}

// New makes the sink. It reads credentials, and waits for no server.
func New(o Options) (event.Sink, error) { return nil, errors.New("no NATS yet") }
