package config

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/internal/event/webhook"
)

// The kinds of sinks that some of their keys are for.
var (
	files    = []string{string(stream.TypeFile)}
	webhooks = []string{string(stream.TypeWebhook)}
	nats     = []string{string(stream.TypeNATS)}
)

// sinks are the tables [[events.sink]].
var sinks many = &manyOf[stream.SinkOptions]{
	table:   "events.sink",
	of:      func(c *Config) *[]stream.SinkOptions { return &c.Events.Sinks },
	fresh:   stream.DefaultSink,
	kindKey: "type",
	kindOf:  func(s *stream.SinkOptions) string { return string(s.Type) },
	own: []keyOf[stream.SinkOptions]{
		{"name", nil, `Its name, in metrics, in the log, and of its place in the spool.`,
			func(s *stream.SinkOptions) value { return word{&s.Name, "crm"} }},
		{"type", nil, `"file", "webhook" or "nats".`,
			func(s *stream.SinkOptions) value { return choice[stream.Type]{&s.Type, stream.Types} }},
		{"addresses", nil, `How much of an address it may see: "full"; "hashed", a keyed hash that is the same for
the same address; "domain", what stands behind the "@".`,
			func(s *stream.SinkOptions) value {
				return choice[stream.Addresses]{&s.Addresses, stream.AllAddresses}
			}},
		{"address_key_file", nil, `File with the key of addresses = "hashed".`,
			func(s *stream.SinkOptions) value {
				return folder{&s.AddressKeyFile, "/etc/bounce-milter/address.key"}
			}},

		{"path", files, `File that gets a line a record; "-" is standard output. SIGHUP opens it anew.`,
			func(s *stream.SinkOptions) value { return word{&s.File.Path, "/var/log/bounce-milter/events.jsonl"} }},

		{"url", webhooks, `Where records are posted to.`,
			func(s *stream.SinkOptions) value {
				return link{word{&s.Webhook.URL, "https://crm.example.org/hooks/bounces"}}
			}},
		{"format", webhooks, `"native" is an array of records, signed as Standard Webhooks says; "listmonk" is what
listmonk takes, one bounce a request.`,
			func(s *stream.SinkOptions) value {
				return choice[webhook.Format]{&s.Webhook.Format, webhook.Formats}
			}},
		{"secret_file", webhooks, `File with the key that signs requests, or several, one a line, while they change; of
listmonk with "user:token" of its API.`,
			func(s *stream.SinkOptions) value {
				return folder{&s.Webhook.SecretFile, "/etc/bounce-milter/crm.secret"}
			}},
		{"block", webhooks, `What listmonk gets of a bounce of type block, which is about the sender and not the
address: "skip" is nothing, "soft" a soft bounce.`,
			func(s *stream.SinkOptions) value {
				return choice[webhook.Block]{&s.Webhook.Block, webhook.Blocks}
			}},
		{"timeout", webhooks, `Time that a request may take.`,
			func(s *stream.SinkOptions) value { return duration{&s.Webhook.Timeout} }},
		{"servers", nats, `NATS servers, of which it finds the others of the cluster.`,
			func(s *stream.SinkOptions) value { return words{&s.NATS.Servers, "tls://nats1.example.org:4222"} }},
		{"subject", nats, `Subject of a record: words between dots, of which {category}, {type}, {kind}, {provider}, {source} and
{host} are the record's. A complaint has its kind where it has no category.`,
			func(s *stream.SinkOptions) value { return word{&s.NATS.Subject, "bounces.{category}"} }},
		{"stream", nats, `JetStream stream that has to take it; "" is whichever takes the subject.`,
			func(s *stream.SinkOptions) value { return word{&s.NATS.Stream, "BOUNCES"} }},
		{"credentials_file", nats, `File with the credentials as nsc writes them, the seed of an nkey, "user:password", or a token.`,
			func(s *stream.SinkOptions) value {
				return folder{&s.NATS.CredentialsFile, "/etc/bounce-milter/nats.creds"}
			}},

		{"ca_file", slices.Concat(webhooks, nats), `File with certificates to trust beside the host's own.`,
			func(s *stream.SinkOptions) value {
				const example = "/etc/bounce-milter/ca.pem"
				return both{folder{&s.Webhook.CAFile, example}, folder{&s.NATS.CAFile, example}}
			}},
		{"cert_file", nats, `File with our certificate, for servers that ask for one.`,
			func(s *stream.SinkOptions) value {
				return folder{&s.NATS.CertFile, "/etc/bounce-milter/nats.pem"}
			}},
		{"key_file", nats, `File with the key of that certificate.`,
			func(s *stream.SinkOptions) value {
				return folder{&s.NATS.KeyFile, "/etc/bounce-milter/nats.key"}
			}},
	},
	sample: `[[events.sink]]
name = "archive"
type = "file"
path = "/var/log/bounce-milter/events.jsonl"

[[events.sink]]
name = "crm"
type = "webhook"
url = "https://crm.example.org/hooks/bounces"
secret_file = "/etc/bounce-milter/crm.secret"
addresses = "full"
`,
}
