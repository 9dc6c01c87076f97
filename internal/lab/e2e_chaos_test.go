//go:build e2e

package lab_test

import (
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/chaos"
)

// Every bounce that was accepted is a record at every sink, under one id, whatever was
// killed or failed meanwhile. make soak does the same for longer.
func TestChaos(t *testing.T) {
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	figures, err := chaos.Run(chaos.Config{Lab: l, Bin: lab.Bin(), Postfix: true, Clients: 8, Bounces: 300, Rounds: 5})
	t.Log("\n" + figures)
	if err != nil {
		t.Error(err)
	}
}
