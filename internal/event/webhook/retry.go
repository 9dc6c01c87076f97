package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest time for which a receiver's wish to be left alone is
// obeyed: records that wait push out older ones.
const maxWait = 24 * time.Hour

// retryAfter reads Retry-After, a number of seconds or a date (RFC 9110 section
// 10.2.3); 0 where there is none, or none that can be read. A date is taken against
// the receiver's own clock where it says what that shows.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > int64(maxWait/time.Second) { // or more digits than a number has
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
