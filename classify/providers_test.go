package classify

import (
	"sync"
	"testing"
)

// TestProviders names the hosts that large providers' mail servers go by.
func TestProviders(t *testing.T) {
	e := builtIn(t)
	for host, want := range map[string]string{
		"gmail-smtp-in.l.google.com":              "google",
		"dns; ASPMX.L.GOOGLE.COM":                 "google",
		"example-com.mail.protection.outlook.com": "microsoft",
		"hotmail-com.olc.protection.outlook.com.": "microsoft",
		"mta7.am0.yahoodns.net (67.195.204.77)":   "yahoo",
		"mx-aol.mail.gm0.yahoodns.net":            "yahoo",
		"mx01.mail.icloud.com":                    "apple",
		"mx1.comcast.net":                         "comcast",
		"al-ip4-mx-vip1.prodigy.net":              "att",
		"mx0.charter.net":                         "charter",
		"cxr.mx.a.cloudfilter.net":                "cox",
		"mx00.emig.gmx.net":                       "gmx",
		"mx-ha02.web.de":                          "gmx",
		"mx00.t-online.de":                        "tonline",
		"smtp-in.orange.fr":                       "orange",
		"smtp4.laposte.net":                       "laposte",
		"mx1.free.fr":                             "free",
		"smtp-in.sfr.fr":                          "sfr",
		"mx1.mail.ovh.net":                        "ovh",
		"mxs.mail.ru":                             "mailru",
		"mx.yandex.ru":                            "yandex",
		"mx3.qq.com":                              "qq",
		"163mx01.mxmail.netease.com":              "netease",
		"mx1.naver.com":                           "naver",
		"mx1.hanmail.net":                         "daum",
		"mfsmax.docomo.ne.jp":                     "docomo",
		"lsean.ezweb.ne.jp":                       "kddi",
		"mx.softbank.ne.jp":                       "softbank",
		"mx.zoho.com":                             "zoho",
		"in1-smtp.messagingengine.com":            "fastmail",
		"mail.protonmail.ch":                      "proton",
		"mx1.emailsrvr.com":                       "rackspace",
		"smtp.secureserver.net":                   "godaddy",
		"inbound-smtp.us-east-1.amazonaws.com":    "amazon",
		"eu-smtp-inbound-1.mimecast.com":          "mimecast",
		"mxa-0012ab01.gslb.pphosted.com":          "proofpoint",
		"d123456a.ess.barracudanetworks.com":      "barracuda",
		"mx1.example.iphmx.com":                   "cisco",
		"cluster5.us.messagelabs.com":             "messagelabs",
		"example.in.tmes.trendmicro.com":          "trendmicro",
		"mx-01-us-east-2.prod.hydra.sophos.com":   "sophos",
		"isaac.mx.cloudflare.net":                 "cloudflare",
		"msgin.vvv.facebook.com":                  "facebook",
		"mx.example.org":                          "other",
		"notgoogle.com":                           "other",
		"google.com.example.org":                  "other",
		"":                                        "other",
		"[192.0.2.7]":                             "other",
		"unix; /var/spool/mail":                   "other",
	} {
		if got := e.Judge(&Evidence{Reply: "550 5.1.1 User unknown", RemoteMTA: host}).Provider; got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
}

// TestConcurrent judges from many goroutines at once; with -race it shows that
// nothing of one judgement is seen by another.
func TestConcurrent(t *testing.T) {
	e := builtIn(t)
	replies := []string{longReply, oneLineReply, "552 5.2.2 Mailbox full", "550 5.7.1", "421 4.7.0 Try again later", ""}
	want := make([]Verdict, len(replies))
	for i, r := range replies {
		want[i] = e.Judge(&Evidence{Reply: r, Notice: "The mailbox is full."})
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				for i, r := range replies {
					if got := e.Judge(&Evidence{Reply: r, Notice: "The mailbox is full."}); got != want[i] {
						t.Errorf("%q: %+v, want %+v", r, got, want[i])
					}
				}
			}
		})
	}
	wg.Wait()
}
