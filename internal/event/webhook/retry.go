package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest Retry-After that is obeyed, because records that wait take the
// place of older ones.
const maxWait = 24 * time.Hour

// retryAfter reads Retry-After, a number of seconds or a date (RFC 9110 section 10.2.3). It
// returns 0 if there is none or if it cannot be read. A date is compared with the receiver's
// own clock if the answer has a Date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > int64(maxWait/time.Second) { // an error means more digits than fit
			return maxWait
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(0, at.Sub(now)), maxWait)
}
