package classify

import (
	"slices"
	"testing"
)

func TestSpellings(t *testing.T) {
	for phrase, want := range map[string][]string{
		"mailbox full":        nil,
		"gelöschtes konto":    {"geloeschtes konto", "gel?schtes konto"},
		"não localização":     {"n?o localiza?o"},
		"été":                 nil, // too little would be left
		"ящик переполнен":     nil,
		"größe":               {"groesse"},
		"用户不存在":               nil,
		"skrzynka jest pełna": {"skrzynka jest pe?na"},
	} {
		if got := spellings(phrase); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", phrase, got, want)
		}
	}
}

// TestLettersOfReplies judges one reply as servers and programs spell it.
func TestLettersOfReplies(t *testing.T) {
	e := builtIn(t)
	for want, replies := range map[string][]string{
		"mailbox-full": {
			"552 La boîte aux lettres du destinataire est saturée", "552 La boite aux lettres du destinataire est saturee",
			"552 La boi\u0302te aux lettres du destinataire est sature\u0301e", "552 La boÃ®te aux lettres du destinataire est saturÃ©e",
			"552 La bo?te aux lettres du destinataire est satur??e", "552 La bo\xeete aux lettres du destinataire est satur\xe9e",
			"552 La bo\\303\\256te aux lettres du destinataire est satur\\303\\251e", "552 LA BOÎTE AUX LETTRES DU DESTINATAIRE EST SATURÉE",
		},
		"unknown-recipient": {
			"550 Пользователь не найден", "550 РџРѕР»СЊР·РѕРІР°С‚РµР»СЊ РЅРµ РЅР°Р№РґРµРЅ", "550 ПОЛЬЗОВАТЕЛЬ НЕ НАИ\u0306ДЕН",
			"550 Benutzer gehört nicht zu uns, Empfänger unbekannt", "550 Empf??nger unbekannt", "550 Empf\ufffdnger unbekannt",
		},
	} {
		for _, reply := range replies {
			if v := e.Judge(&Evidence{Reply: reply}); v.Reason != want {
				t.Errorf("%q is %s by %q, want %s", reply, v.Reason, v.Rule, want)
			}
		}
	}
}
