package webhook

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"
)

var at = time.Unix(1614265330, 0)

func mustKey(t *testing.T, encoded string) []byte {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		give, date string
		want       time.Duration
	}{
		{"", "", 0}, {"0", "", 0}, {"120", "", 2 * time.Minute}, {" 7 ", "", 7 * time.Second}, {"-5", "", 0}, {"1.5", "", 0},
		{"soon", "", 0}, {"+5", "", 0}, {"86401", "", maxWait}, {"99999999999999999999999999", "", maxWait},
		{"Fri, 27 Nov 2026 12:00:30 GMT", "", 30 * time.Second},
		{"Fri, 27 Nov 2026 11:59:30 GMT", "", 0},
		{"Friday, 27-Nov-26 12:01:00 GMT", "", time.Minute}, // RFC 850's form
		{"Fri Nov 27 12:00:09 2026", "", 9 * time.Second},   // asctime's
		{"Fri, 27 Nov 2126 12:00:00 GMT", "", maxWait},
		{"Fri, 27 Nov 2026 15:00:30 GMT", "Fri, 27 Nov 2026 15:00:00 GMT", 30 * time.Second}, // a clock that is fast
	} {
		h := http.Header{"Retry-After": {tt.give}, "Date": {tt.date}}
		if got := retryAfter(h, now); got != tt.want {
			t.Errorf("retryAfter(%q, %q) = %s, want %s", tt.give, tt.date, got, tt.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "Fri, 27 Nov 2026 12:00:30 GMT", "-1", "9223372036854775808", "Fri Nov 27 12:00:09 2026", "0x10", "١٢"} {
		f.Add(s, "Fri, 27 Nov 2026 12:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		got := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, at)
		if got < 0 || got > maxWait {
			t.Errorf("retryAfter(%q, %q) = %s", value, date, got)
		}
	})
}
