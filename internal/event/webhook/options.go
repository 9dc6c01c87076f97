// Package webhook hands records to a program by HTTP: as an array signed as Standard
// Webhooks says, or in the form that listmonk takes.
package webhook

import (
	"errors"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Format is what a request says.
type Format string

// The formats.
const (
	FormatNative   Format = "native"   // records as they are, in an array
	FormatListmonk Format = "listmonk" // one object a request, for listmonk
)

// Formats are all formats.
var Formats = []Format{FormatNative, FormatListmonk}

// Options is what an administrator may say of a webhook.
type Options struct {
	URL        string
	Format     Format
	SecretFile string // native: of the signing key; listmonk: user:token
	CAFile     string // certificates to trust beside the host's own, "" for none
}

// Check adds what is wrong with the options, whose keys in the file stand below key:
// "events.sink[0]" makes "events.sink[0].url".
func (o *Options) Check(ps *toml.Problems, key string) {}

// CheckHost adds what the options name and this host lacks.
func (o *Options) CheckHost(ps *toml.Problems, key string) {}

// New makes the sink. It reads secrets, and opens no connection.
func New(o Options) (event.Sink, error) { return nil, errors.New("no webhooks yet") }
