package dsn

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/address"
)

// FuzzRead reads whatever it is given and checks what every report promises.
func FuzzRead(f *testing.F) {
	for _, raw := range fixtures(f) {
		f.Add(raw)
	}
	paths, err := filepath.Glob("testdata/notice*/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, h := range hostile {
		f.Add([]byte(h.make(100)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		lim := Limits{Recipients: 50}
		r := Read(context.Background(), raw, lim)
		bounce := r.Kind == KindDSN || r.Kind == KindText
		if !bounce && len(r.Recipients) > 0 {
			t.Errorf("kind %s has recipients", r.Kind)
		}
		if len(r.Recipients) > lim.Recipients {
			t.Errorf("%d recipients", len(r.Recipients))
		}
		for _, s := range []string{r.ReportingMTA, r.ReceivedFromMTA, r.DSNGateway, r.EnvelopeID, r.ArrivalDate,
			r.Sender, r.Returned.MessageID, r.Returned.From, r.Returned.To, r.Returned.Date} {
			checkValue(t, s)
		}
		for i := range r.Recipients {
			rcpt := &r.Recipients[i]
			for _, s := range []string{rcpt.Address, rcpt.Original, rcpt.Diagnostic, rcpt.DiagnosticType, rcpt.Notice,
				rcpt.RemoteMTA, rcpt.FinalLogID, rcpt.LastAttempt, rcpt.WillRetryUntil} {
				checkValue(t, s)
			}
			if rcpt.Action == "" {
				t.Errorf("recipient %q without an action", rcpt.Address)
			}
			if rcpt.SMTPCode != 0 && (rcpt.SMTPCode < 200 || rcpt.SMTPCode > 599) {
				t.Errorf("SMTP code %d", rcpt.SMTPCode)
			}
		}
	})
}

// checkValue checks that a value can be put into a header or a line of JSON.
func checkValue(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("control characters: %q", s)
	}
}

// FuzzFields reads a status part.
func FuzzFields(f *testing.F) {
	for _, raw := range fixtures(f) {
		if i := strings.Index(string(raw), "Reporting-MTA"); i >= 0 {
			f.Add(raw[i:])
		}
	}
	f.Add([]byte("Action: failed Final-Recipient : rfc/822; <a@b>\nStatus\n\n  x\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		lim := Limits{Recipients: 20}.WithDefaults()
		for _, embedded := range []bool{false, true} {
			sr := statusReader{lim: lim}
			if end := sr.read(raw, embedded); end < 0 || end > len(raw) || !embedded && end != len(raw) {
				t.Errorf("ends at %d of %d", end, len(raw))
			}
			if len(sr.groups) > lim.Recipients {
				t.Errorf("%d groups", len(sr.groups))
			}
			for i := range sr.groups {
				for id := range sr.groups[i].field {
					if len(sr.groups[i].field[id]) > lim.FieldLength {
						t.Errorf("field of %d octets", len(sr.groups[i].field[id]))
					}
				}
			}
		}
	})
}

// FuzzAddress reads the value of a field that holds an address.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"rfc822; u@example.com", "utf-8;\\x{7528}@example.com", "rfc/822;<u@example.com>",
		`rfc822;"a;b (c)"@example.com (comment (nested) \) )`, "rfc822;@r1,@r2:u@example.com", "u+2Btag+3Dx@example.com",
		"x400; /S=U/", "(((", `x822;@relay\@hop:@host`, "'@host'", "x822;mailto:@host", "rfc822;\"", "'u@example.com'", "mailto:u@example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := readAddress(s)
		if len(a) > len(s)+utf8.UTFMax {
			t.Errorf("%q became longer: %q", s, a)
		}
		if address.IsMailbox(a) {
			if b := address.Bare(a); !address.IsMailbox(b) {
				t.Errorf("%q is a mailbox, %q is none", a, b)
			}
		}
		readMTA(s)
		readAction(s)
		parseMediaType([]byte(s))
	})
}
