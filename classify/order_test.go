package classify

import (
	"slices"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

func smallEngine(t testing.TB, admin string) *Engine {
	t.Helper()
	var files []rules.File
	if admin != "" {
		files = append(files, rules.File{Name: "admin.toml", Data: []byte(admin), Admin: true})
	}
	set, problems := small(t, files...)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return engineOf(t, set)
}

// TestOrder judges by the small set: which evidence wins, and how the type
// follows.
func TestOrder(t *testing.T) {
	e := smallEngine(t, "")
	for _, c := range []struct {
		name     string
		ev       Evidence
		rule     string
		category Category
		kind     Type
		rung     Rung
	}{
		{"words beat codes", Evidence{Reply: "550 5.1.1 mailbox full"}, "full", MailboxFull, Soft, RungText},
		{"words in capitals, folded, on two lines", Evidence{Reply: "550-5.7.1 MAILBOX\r\n550 5.7.1  Full"}, "full", MailboxFull, Soft, RungText},
		{"longer phrase first", Evidence{Reply: "550 no such user, over quota"}, "unknown-user", InvalidAddress, Hard, RungText},
		{"provider first", Evidence{Reply: "421 mailbox full speed", RemoteMTA: "a.bigmail.example"}, "bigmail-limit", RateLimit, Soft, RungText},
		{"provider by its words", Evidence{Reply: "421 mailbox full speed - bm-smtp"}, "bigmail-limit", RateLimit, Soft, RungText},
		{"provider by the host that spoke", Evidence{Reply: "host mx.bigmail.test[192.0.2.1] said: 421 mailbox full speed"}, "bigmail-limit", RateLimit, Soft, RungText},
		{"provider by the reporting host", Evidence{Reply: "421 mailbox full speed", ReportingMTA: "dns; out.bigmail.example"}, "bigmail-limit", RateLimit, Soft, RungText},
		{"longest suffix", Evidence{Reply: "421 mailbox full speed", RemoteMTA: "mx.eu.bigmail.example"}, "full", MailboxFull, Soft, RungText},
		{"no such suffix", Evidence{Reply: "421 mailbox full speed", RemoteMTA: "notbigmail.example"}, "full", MailboxFull, Soft, RungText},
		{"token in a URL", Evidence{Reply: "421 see https://bigmail.example/x?c=b17", RemoteMTA: "BIGMAIL.EXAMPLE."}, "bigmail-limit", RateLimit, Soft, RungText},
		{"no phrase in a URL", Evidence{Reply: "554 https://help.example/over quota"}, "", Unclassified, Soft, RungNone},
		{"no phrase in an address", Evidence{Reply: "552 5.2.2 <rejected@example.com>"}, "552 5.2.2", MailboxFull, Soft, RungCode},
		{"more conditions first", Evidence{Reply: "450 4.7.1 mailbox full, slow down"}, "too-fast-with-code", RateLimit, Soft, RungText},
		{"conditions unmet", Evidence{Reply: "550 5.7.1 mailbox full, slow down"}, "full", MailboxFull, Soft, RungText},
		{"stock phrase last", Evidence{Reply: "550 unavailable for now and for ever: mailbox full"}, "full", MailboxFull, Soft, RungText},
		{"stock phrase alone", Evidence{Reply: "550 unavailable for now and for ever"}, "stock", Blocked, Block, RungText},
		{"notice before a stock phrase", Evidence{Reply: "550 unavailable for now and for ever", Notice: "The user is over quota."}, "full", MailboxFull, Soft, RungText},
		{"reply before the notice", Evidence{Reply: "550 user unknown", Notice: "The user is over quota."}, "unknown-user", InvalidAddress, Hard, RungText},
		{"words that say nothing", Evidence{Reply: "550 rejected"}, "nothing-said", Unclassified, Soft, RungText},
		{"words that say nothing beside a code that does", Evidence{Reply: "552 5.2.2 rejected"}, "552 5.2.2", MailboxFull, Block, RungCode},
		{"regex sees addresses as @", Evidence{Reply: "550 <somebody@example.com>: the door is closed"}, "door-closed", Blocked, Block, RungText},

		{"inner reply first", Evidence{Reply: "550 5.7.1 over quota here, host mx.example.com said: 550 5.1.1 user unknown"}, "unknown-user", InvalidAddress, Hard, RungText},
		{"inner codes", Evidence{Reply: "550 5.7.1 it failed (552 5.2.2 who knows)"}, "552 5.2.2", MailboxFull, Block, RungCode},
		{"outer words where the inner ones say nothing", Evidence{Reply: "over quota, says [192.0.2.1]: 550 who knows"}, "full", MailboxFull, Soft, RungText},
		{"a number is no quoted reply", Evidence{Reply: "552 5.2.2 who knows (554.30 pieces)"}, "552 5.2.2", MailboxFull, Block, RungCode},
		{"after the sign", Evidence{Reply: "550 failure for one or more recipients (u@example.com:no such user)"}, "unknown-user", InvalidAddress, Hard, RungText},

		{"exact pair", Evidence{Reply: "550 5.1.1"}, "550 5.1.1", InvalidAddress, Hard, RungCode},
		{"ambiguous pair: more rows", Evidence{Reply: "550 5.2.1"}, "550 5.2.1", InvalidAddress, Hard, RungCode},
		{"ambiguous pair: first listed", Evidence{Reply: "552 5.2.2"}, "552 5.2.2", MailboxFull, Soft, RungCode},
		{"codes as fields", Evidence{Status: reply.Status{Class: 5, Subject: 1, Detail: 1}, SMTPCode: 550}, "550 5.1.1", InvalidAddress, Hard, RungCode},
		{"registered meaning", Evidence{Reply: "551 5.2.2"}, "5.2.2", MailboxFull, Soft, RungStatus},
		{"a class of its own", Evidence{Reply: "451 4.2.2 who knows"}, "4.2.2", RateLimit, Soft, RungStatus},
		{"unregistered detail", Evidence{Reply: "551 5.2.99"}, "5.2.99", Blocked, Block, RungStatus},
		{"generic beside a specific code", Evidence{Reply: "552 who knows", Status: reply.Status{Class: 5, Subject: 0, Detail: 0}}, "552", MailboxFull, Block, RungSMTP},
		{"specific field beside a generic code", Evidence{Reply: "550 5.0.0 who knows", Status: reply.Status{Class: 5, Subject: 2, Detail: 2}}, "5.2.2", MailboxFull, Block, RungStatus},
		{"the reply's own code first", Evidence{Reply: "550 5.1.1 who knows", Status: reply.Status{Class: 5, Subject: 2, Detail: 2}}, "550 5.1.1", InvalidAddress, Block, RungCode},
		{"bare code", Evidence{Reply: "552"}, "552", MailboxFull, Soft, RungSMTP},
		{"registered bare code", Evidence{Reply: "421 who knows"}, "421", RateLimit, Soft, RungSMTP},
		{"a code that says nothing", Evidence{Reply: "450 who knows"}, "", Unclassified, Soft, RungNone},
		{"nothing at all", Evidence{}, "", Unclassified, Soft, RungNone},

		{"a delay is soft", Evidence{Reply: "550 user unknown", Action: dsn.ActionDelayed}, "unknown-user", InvalidAddress, Soft, RungText},
		{"transient is soft", Evidence{Reply: "450 4.1.1 user unknown"}, "unknown-user", InvalidAddress, Soft, RungText},
		{"transient, given up", Evidence{Reply: "450 4.1.1 user unknown", Action: dsn.ActionFailed}, "unknown-user", InvalidAddress, Hard, RungText},
		{"permanent by its SMTP code", Evidence{Reply: "550 4.1.1 user unknown"}, "unknown-user", InvalidAddress, Hard, RungText},
		{"policy and unknown words", Evidence{Reply: "550 5.7.1 the moon is wrong"}, "5.7.1", Blocked, Block, RungStatus},
		{"policy and no words", Evidence{Reply: "550 5.7.1"}, "550 5.7.1", InvalidAddress, Block, RungCode},
		{"bare code, unknown words", Evidence{Reply: "550 the moon is wrong"}, "550", InvalidAddress, Block, RungSMTP},
		{"bare code, words about the recipient", Evidence{Reply: "550 the recipient is wrong"}, "550", InvalidAddress, Block, RungSMTP},
		{"bare code, words that answer RCPT", Evidence{Reply: "550 the moon is wrong (in reply to RCPT TO command)"}, "550", InvalidAddress, Block, RungSMTP},
		{"bare code, words within an address", Evidence{Reply: "550 the moon is wrong <user@recipient.example>"}, "550", InvalidAddress, Block, RungSMTP},
		{"code of the mailbox, unknown words", Evidence{Reply: "550 5.2.1 the moon is wrong"}, "550 5.2.1", InvalidAddress, Block, RungCode},
		{"code of the address, words about the sender", Evidence{Reply: "550 5.1.1 the sender is wrong"}, "550 5.1.1", InvalidAddress, Block, RungCode},
		{"code of some address, unknown words", Evidence{Reply: "550 5.1.0 the moon is wrong"}, "550 5.1.0", InvalidAddress, Block, RungCode},
		{"ambiguous pair, words about the sender", Evidence{Reply: "550 5.1.0 the sender is wrong"}, "550 5.1.0", Blocked, Block, RungCode},
		{"ambiguous pair, words about the recipient", Evidence{Reply: "550 5.1.0 the recipient is wrong"}, "550 5.1.0", InvalidAddress, Block, RungCode},
		{"ambiguous pair, words about both", Evidence{Reply: "550 5.1.0 sender and recipient are wrong"}, "550 5.1.0", InvalidAddress, Block, RungCode},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := e.Judge(&c.ev)
			if v.Rule != c.rule || v.Category != c.category || v.Type != c.kind || v.Evidence != c.rung {
				t.Errorf("%+v: %s, %s, %s, %s; want %s, %s, %s, %s\n%s", c.ev, v.Rule, v.Category, v.Type, v.Evidence,
					c.rule, c.category, c.kind, c.rung, e.Explain(&c.ev).Why)
			}
		})
	}
}

const adminRules = `
[[rule]]
id = "house"
reason = "policy"
any = ["over quota"]
examples = ["550 over quota"]

[[rule]]
id = "house-bigmail"
reason = "rate-limited"
provider = "bigmail"
any = ["over quota"]
examples = ["550 over quota"]

[[rule]]
id = "trial"
reason = "unknown-recipient"
shadow = true
all = ["over", "quota exceeded"]
examples = ["550 over quota exceeded"]

[[rule]]
id = "stock"
reason = "mailbox-full"
any = ["unavailable for now"]
examples = ["550 unavailable for now"]

[[override]]
id = "unknown-user"
disabled = true
`

// TestAdmin: an administrator's rules come first, replace and disable built-in
// ones, and those in the shadow only leave a trace.
func TestAdmin(t *testing.T) {
	e := smallEngine(t, adminRules)
	if problems, warnings := checkSet(e.set, true); len(problems)+len(warnings) > 0 {
		t.Error(problems, warnings)
	}
	for _, c := range []struct{ reply, mta, rule, shadow string }{
		{"550 mailbox full, over quota", "", "house", ""},
		{"550 over quota", "mx.bigmail.test", "house-bigmail", ""},
		{"550 over quota exceeded", "", "house", "trial"},
		{"550 over and out, quota exceeded", "", "550", "trial"},
		{"550 mailbox full", "", "full", ""},
		{"550 unavailable for now and for ever", "", "stock", ""},
		{"550 user unknown", "", "550", ""},
	} {
		ev := Evidence{Reply: c.reply, RemoteMTA: c.mta}
		q := e.begin(&ev)
		f := q.climb()
		shadows := q.shadowed(f)
		e.end(q)
		want := []string{}
		if c.shadow != "" {
			want = append(want, c.shadow)
		}
		if f.by != c.rule || !slices.Equal(shadows, want) && len(shadows)+len(want) > 0 {
			t.Errorf("%q: rule %s, shadows %v; want %s, %v", c.reply, f.by, shadows, c.rule, want)
		}
	}
	ids := e.RuleIDs()
	if slices.Contains(ids, "unknown-user") || !slices.Contains(ids, "house") {
		t.Errorf("rules in force: %v", ids)
	}
	if r, ok := e.Rule("stock"); !ok || !r.Admin {
		t.Error("the administrator's rule did not replace the built-in one")
	}
	if e.Version() == smallEngine(t, "").Version() {
		t.Error("the version does not tell the rule sets apart")
	}
}
