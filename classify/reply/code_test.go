package reply

import "testing"

// TestCodesAgree asks every reader of codes the same: that of a reply, wherever it
// stands in it, and that of what a text begins with.
func TestCodesAgree(t *testing.T) {
	tests := []struct {
		in   string
		code int
	}{
		{"550 x", 550}, {"550", 550}, {"450\tx", 450}, {"550\r\nx", 550},
		{"550-x", 550}, {"550-", 550}, {"550-5.7.1 x", 550}, {"521-192.0.2.7 x", 521},
		{"550<u@x>", 550}, {"550[x", 550}, {"550[192.0.2.7] x", 550}, {"550(x)", 550}, {"550#5.1.1", 550}, {"550'x'", 550},
		{"550;x", 550}, {"550:x", 550}, {"550,x", 550}, {"550. x", 550}, {"550_x", 550}, {"550) x", 550}, {"550!x", 550},
		{"250 x", 250}, {"250-x", 250}, {"253 x", 253},
		{"550-1", 0}, {"550-1 x", 0}, {"550-599 x", 0}, {"550-1234567", 0}, // ranges and telephone numbers
		{"550x", 0}, {"5501", 0}, {"55", 0}, {"55x", 0}, {"550@x", 0}, {"550/x", 0}, {"550%", 0}, {"550\u00b0", 0}, {"", 0},
		{"150 x", 0}, {"260 x", 0}, {"350 x", 0}, {"650 x", 0}, {"050 x", 0},
	}
	for _, tt := range tests {
		if got := LeadingCode(tt.in); got != tt.code {
			t.Errorf("%q begins with %d, want %d", tt.in, got, tt.code)
		}
		if got := LeadingCode([]byte(tt.in)); got != tt.code {
			t.Errorf("octets %q begin with %d, want %d", tt.in, got, tt.code)
		}
		for _, before := range []string{"", "smtp; ", "smtp;", "host x said: ", "(", "it said\n"} {
			if got := Parse(before + tt.in).Code; got != tt.code {
				t.Errorf("%q is parsed as %d, want %d", before+tt.in, got, tt.code)
			}
		}
	}
	if LeadingCode("354 go on") != 354 || Parse("354 go on").Code != 0 {
		t.Error("354 is a code in a dialogue, no answer to a message")
	}
}

func TestCodesAlone(t *testing.T) {
	for s, want := range map[string]int{
		"550": 550, "250": 250, "260": 0, "354": 0, "701": 0, "999": 0,
		"": 0, "55": 0, "5500": 0, "0550": 0, "+55": 0, "550 ": 0, "-550": 0, "5x0": 0, "100": 0, "099": 0,
	} {
		if got := ParseCode(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// TestStatusesAgree asks every reader of enhanced codes the same.
func TestStatusesAgree(t *testing.T) {
	tests := []struct {
		in   string
		want Status
	}{
		{"5.1.1 x", Status{5, 1, 1}}, {"4.7.650", Status{4, 7, 650}}, {"5.1.1. x", Status{5, 1, 1}}, {"5.1.1... x", Status{5, 1, 1}},
		{"5.1.1-x", Status{5, 1, 1}}, {"5.1.1<u@x>", Status{5, 1, 1}}, {"5.1.1;x", Status{5, 1, 1}}, {"5.1.1：x", Status{5, 1, 1}},
		{"3.1.1 x", Status{}}, {"1.1.1 x", Status{}}, {"6.1.1 x", Status{}}, // no classes of RFC 3463
		{"5.01.1 x", Status{}}, {"5.1.01 x", Status{}}, {"5.01.2024 x", Status{}}, // no numbers of it
		{"5.1 x", Status{}}, {"5.1.1.1 x", Status{}}, {"5.1.1.example.com", Status{}}, {"5.1.1x", Status{}}, {"5.1.1@x", Status{}},
	}
	for _, tt := range tests {
		if got := LeadingStatus(tt.in); got != tt.want {
			t.Errorf("%q begins with %q, want %q", tt.in, got, tt.want)
		}
		if got := FindStatus(tt.in); got != tt.want {
			t.Errorf("in %q stands %q, want %q", tt.in, got, tt.want)
		}
		for _, before := range []string{"", "550 ", "550-", "smtp; ", "550 #"} {
			if got := Parse(before + tt.in).Status; got != tt.want {
				t.Errorf("%q is parsed as %q, want %q", before+tt.in, got, tt.want)
			}
		}
	}
}
