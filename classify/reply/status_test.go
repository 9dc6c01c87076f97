package reply

import (
	"fmt"
	"testing"
)

func TestParseStatus(t *testing.T) {
	for s, want := range map[string]Status{
		"5.1.1": {5, 1, 1}, "4.7.650": {4, 7, 650}, "2.0.0": {2, 0, 0}, "5.999.999": {5, 999, 999},
		"": {}, "5": {}, "5.1": {}, "5.1.": {}, "5..1": {}, "1.1.1": {}, "5.1.1.1": {}, "5.1.1234": {}, "a.b.c": {}, "5,1,1": {},
		"3.1.1": {}, "5.01.1": {}, "5.1.01": {}, "5.00.0": {}, "5.1.1.": {}, " 5.1.1": {}, "5.1.+1": {},
	} {
		if got := ParseStatus(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func TestStatusAsText(t *testing.T) {
	for _, class := range []int16{2, 4, 5} {
		for _, subject := range []int16{0, 1, 7, 8, 10, 999} {
			for _, detail := range []int16{0, 1, 9, 10, 39, 40, 100, 999} {
				s := Status{class, subject, detail}
				if want := fmt.Sprintf("%d.%d.%d", class, subject, detail); s.String() != want {
					t.Errorf("%q, want %q", s, want)
				}
				var again Status
				if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
					t.Errorf("%s is read as %s, %v", s, again, err)
				}
			}
		}
	}
	var s Status
	if b, err := s.MarshalText(); err != nil || len(b) > 0 {
		t.Errorf("the zero Status is %q, %v", b, err)
	}
	if err := s.UnmarshalText(nil); err != nil {
		t.Error(err)
	}
	if err := s.UnmarshalText([]byte("3.1.1")); err == nil {
		t.Error("3.1.1 was taken")
	}
	if n := testing.AllocsPerRun(100, func() { _ = Status{5, 7, 26}.String() }); n != 0 {
		t.Errorf("String allocates %v times", n)
	}
}

func TestStatusTells(t *testing.T) {
	order := []Status{{}, {2, 1, 5}, {5, 0, 0}, {5, 0, 350}, {4, 1, 0}, {5, 1, 1}}
	for i, s := range order {
		for j, than := range order {
			if s.TellsMore(than) != (i > j) {
				t.Errorf("%q tells more than %q: %v", s, than, i <= j)
			}
		}
		if s.Telling() != (i > 2) || s.Detailed() != (i == 5) {
			t.Errorf("%q: telling %v, detailed %v", s, s.Telling(), s.Detailed())
		}
	}
}

func TestFindStatus(t *testing.T) {
	for s, want := range map[string]Status{
		"5.1.1": {5, 1, 1}, "5.7.606 (banned)": {5, 7, 606}, " 4.2.2": {4, 2, 2}, "(5.1.2)": {5, 1, 2}, "5.1.1-x": {5, 1, 1},
		"550 5.2.2 full": {5, 2, 2}, "x 1.1.1, 5.1.1": {5, 1, 1}, "5.1.1.1": {}, "5.1.1x": {}, "": {}, "550": {}, "5.1.1@x": {},
		"5.2.2.": {5, 2, 2}, "5.2.2... full": {5, 2, 2}, "3.1.1": {}, "5.01.1": {}, "5.01.1, 5.1.2": {5, 1, 2},
	} {
		if got := FindStatus(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
