package lines

import (
	"fmt"
	"testing"
)

func ExampleCut() {
	fmt.Println(Cut("Jürgen", 2))
	fmt.Println(Cut("Jürgen", 3))
	// Output:
	// J
	// Jü
}

// What is not UTF-8 has no beginning of a character to go back to.
func TestCutOfOtherOctets(t *testing.T) {
	if got := Cut("\x80\x80\x80\x80\x80\x80\x80", 5); len(got) != 5 {
		t.Errorf("%d octets are left of 5", len(got))
	}
	if got := Cut("ü", 1); got != "" {
		t.Errorf("half a character is left: %q", got)
	}
}
