// Command noop is a milter on plain go-milter that gets every command and does nothing,
// for comparison with the daemon. Its arguments are a network and an address.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/emersion/go-milter"
)

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	if len(args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: noop NETWORK ADDRESS")
		return 2
	}
	ln, err := net.Listen(args[1], args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		return 1
	}
	if args[1] == "unix" {
		if err := os.Chmod(args[2], 0o666); err != nil {
			fmt.Fprintln(os.Stderr, "noop:", err)
			return 1
		}
	}
	server := milter.Server{NewMilter: func() milter.Milter { return milter.NoOpMilter{} }}
	if err := server.Serve(ln); err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		return 1
	}
	return 0
}
