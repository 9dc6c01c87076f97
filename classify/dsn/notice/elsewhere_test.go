package notice

import (
	"strings"
	"testing"
)

// TestWhoIsBlamed has notices that also name others than the recipients that failed:
// somebody to write to instead, somebody who got the mail or a copy of the report. To
// name nobody is right if there is no other address.
func TestWhoIsBlamed(t *testing.T) {
	for text, want := range map[string]string{
		"Your mail could not be delivered: no such user. Please use jo.new@other.example instead.":          "",
		"Your mail could not be delivered: no such user. Jo now works in Bonn, mail her at j@new.example":   "",
		"Your mail was not delivered, the mailbox is gone. For orders mail orders@example.com, thank you.":  "",
		"Delivery failed: user unknown.\n\nFurther questions go to office@example.com":                      "",
		"Delivery failed: mailbox closed. All mail should now be sent to info@example.com":                  "",
		"Delivery failed: no such user.\n\nPlease use the new address:\n\n   jo.new@other.example":          "",
		"Zustellung fehlgeschlagen: Benutzer unbekannt.\n\nBitte verwenden Sie künftig jo@new.example.":     "",
		"Zustellung fehlgeschlagen: Postfach fehlt.\n\nBitte richten Sie alles Weitere an info@example.com": "",
		"Votre message n'a pas pu être remis. Merci d'écrire à accueil@example.com":                         "",
		"No se pudo entregar: usuario desconocido. Escríbanos a info@example.com":                           "",
		"Impossibile recapitare: utente sconosciuto. Il nuovo recapito è jo@new.example":                    "",

		"Delivery failed: user unknown.\n\nA copy of this report was sent to admin@example.com":                                             "",
		"Your mail to a@example.com was delivered, but it could not be delivered to jo@example.com: user unknown.":                          "jo@example.com",
		"The following recipients got your message:\n\n  a@example.com\n\nThe following recipients did not get it:\n\n  jo@example.com\n":   "jo@example.com",
		"Successfully delivered to:\n\n   a@example.com\n   b@example.com\n\nUndeliverable to:\n\n   jo@example.com\n   552 mailbox full\n": "jo@example.com",
		"Die Nachricht wurde zugestellt an:\n\n  a@example.com\n\nSie konnte nicht zugestellt werden an:\n\n  jo@example.com\n":             "jo@example.com",
		"Your mail to jo@example.com that was delivered to our server could not be delivered to the mailbox.":                               "jo@example.com",
		"Report for your undeliverable mail:\n\na@example.com: delivered successfully\njo@example.com: no such user\n":                      "jo@example.com",

		"Your mail could not be delivered, as jo@example.com is unknown, please contact the help desk.":              "jo@example.com",
		"We could not deliver your mail to jo@example.com. For help see our pages.":                                  "jo@example.com",
		"jo@example.com\n\nThis address could not be reached. Please use another address.":                           "jo@example.com",
		"Delivery failed. The address jo@example.com that you tried to contact does not exist.":                      "jo@example.com",
		"Your mail was rejected: user unknown. It was for the mailbox jo@example.com":                                "jo@example.com",
		"Your mail to jo@example.com was rejected: user unknown. Mail postmaster@example.com if this is wrong.":      "jo@example.com",
		"Delivery failed: no such user.\n\n>>> jo@example.com <jo@example.com>":                                      "jo@example.com",
		"Zustellung fehlgeschlagen. Den Empfänger jo@example.com gibt es nicht. Fragen beantwortet info@example.com": "jo@example.com",
		"无法投递。收件人 jo@example.com 不存在。":                                                                               "jo@example.com",
	} {
		rs, _ := listed(bounceHeader, text, 10)
		var got []string
		for _, r := range rs {
			got = append(got, r.Address)
		}
		if len(rs) == 0 || strings.Join(got, ",") != want {
			t.Errorf("%s:\ngot %q, want %q", text, got, want)
		}
	}
}
