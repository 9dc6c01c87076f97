package config

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/internal/event/webhook"
)

// Types of sinks to which only some keys apply.
var (
	fileOnly    = []string{string(stream.TypeFile)}
	webhookOnly = []string{string(stream.TypeWebhook)}
	natsOnly    = []string{string(stream.TypeNATS)}
)

// sinks are the tables [[events.sink]].
var sinks many = &manyOf[stream.SinkOptions]{
	table:   "events.sink",
	of:      func(c *Config) *[]stream.SinkOptions { return &c.Events.Sinks },
	fresh:   stream.DefaultSink,
	kindKey: "type",
	kindOf:  func(s *stream.SinkOptions) string { return string(s.Type) },
	own: []keyOf[stream.SinkOptions]{
		{"name", nil, `Name of the sink in metrics and in the log. The spool remembers by it what the sink has read.`,
			func(s *stream.SinkOptions) value { return word{&s.Name, "crm"} }},
		{"type", nil, `"file", "webhook" or "nats".`,
			func(s *stream.SinkOptions) value { return choice[stream.Type]{&s.Type, stream.Types} }},
		{"addresses", nil, `How much of each address the sink may see: "full"; "hashed", a keyed hash that is the
same for the same address; or "domain", only what follows the "@".`,
			func(s *stream.SinkOptions) value {
				return choice[stream.Addresses]{&s.Addresses, stream.AllAddresses}
			}},
		{"address_key_file", nil, `File with the key of addresses = "hashed".`,
			func(s *stream.SinkOptions) value {
				return folder{&s.AddressKeyFile, "/etc/bounce-milter/address.key"}
			}},

		{"path", fileOnly, `File that gets one line per record; "-" is standard output. SIGHUP opens it anew.`,
			func(s *stream.SinkOptions) value { return word{&s.File.Path, "/var/log/bounce-milter/events.jsonl"} }},

		{"url", webhookOnly, `Where records are posted to.`,
			func(s *stream.SinkOptions) value {
				return link{word{&s.Webhook.URL, "https://crm.example.org/hooks/bounces"}}
			}},
		{"format", webhookOnly, `"native" posts arrays of records, signed as Standard Webhooks specifies; "listmonk" posts
one bounce per request, in the form that listmonk accepts.`,
			func(s *stream.SinkOptions) value {
				return choice[webhook.Format]{&s.Webhook.Format, webhook.Formats}
			}},
		{"secret_file", webhookOnly, `File with the key that signs requests; for listmonk, with "user:token" of its API.
While the key changes, write the old and the new one, each on its own line.`,
			func(s *stream.SinkOptions) value {
				return folder{&s.Webhook.SecretFile, "/etc/bounce-milter/crm.secret"}
			}},
		{"block", webhookOnly, `What listmonk gets for a bounce of type "block", which is about the sender and not about
the address: "skip" sends nothing, "soft" sends a soft bounce.`,
			func(s *stream.SinkOptions) value {
				return choice[webhook.Block]{&s.Webhook.Block, webhook.Blocks}
			}},
		{"unproven", webhookOnly, `What listmonk gets for a hard bounce or a complaint that anybody could have written, because
[origin] does not prove that your mail went to the address: "send" treats it like others,
"soft" sends a soft bounce and no complaint, "skip" sends nothing.`,
			func(s *stream.SinkOptions) value {
				return choice[webhook.Unproven]{&s.Webhook.Unproven, webhook.Unprovens}
			}},
		{"timeout", webhookOnly, `Time that a request may take.`,
			func(s *stream.SinkOptions) value { return duration{&s.Webhook.Timeout} }},
		{"servers", natsOnly, `NATS servers to connect to; they say which other servers their cluster has.`,
			func(s *stream.SinkOptions) value { return words{&s.NATS.Servers, "tls://nats1.example.org:4222"} }},
		{"subject", natsOnly, `Subject of each record. {category}, {type}, {kind}, {provider}, {source} and {host} are
replaced by what the record says; a complaint has no category, and gets its kind there.`,
			func(s *stream.SinkOptions) value { return word{&s.NATS.Subject, "bounces.{category}"} }},
		{"stream", natsOnly, `JetStream stream that must store the records; "" accepts whichever has the subject.`,
			func(s *stream.SinkOptions) value { return word{&s.NATS.Stream, "BOUNCES"} }},
		{"credentials_file", natsOnly, `File with credentials as nsc writes them, the seed of an nkey, "user:password", or a token.`,
			func(s *stream.SinkOptions) value {
				return folder{&s.NATS.CredentialsFile, "/etc/bounce-milter/nats.creds"}
			}},

		{"ca_file", slices.Concat(webhookOnly, natsOnly), `File with certificates to trust in addition to the host's own.`,
			func(s *stream.SinkOptions) value {
				const example = "/etc/bounce-milter/ca.pem"
				return both{folder{&s.Webhook.CAFile, example}, folder{&s.NATS.CAFile, example}}
			}},
		{"cert_file", natsOnly, `File with the daemon's certificate, for servers that ask for one.`,
			func(s *stream.SinkOptions) value {
				return folder{&s.NATS.CertFile, "/etc/bounce-milter/nats.pem"}
			}},
		{"key_file", natsOnly, `File with the key of that certificate.`,
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
