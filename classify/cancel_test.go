package classify

import (
	"context"
	"strings"
	"testing"
)

// TestMessageEndsWithContext checks that an inspection ends when the caller's context does, for
// example because the MTA has hung up.
func TestMessageEndsWithContext(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte("Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n" +
		strings.Repeat("Final-Recipient: rfc822; u@example.com\nAction: failed\nStatus: 5.1.1\n\n", 20) + "--b--\n")
	if res := e.Classify(t.Context(), raw); res.Truncated || len(res.Recipients) != 1 {
		t.Fatalf("got %+v", res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res := e.Classify(ctx, raw); !res.Truncated || len(res.Recipients) > 0 {
		t.Errorf("with a context that has ended: got %+v", res)
	}
}
