// Command bounce-milter recognises bounces, says what each one means, tags it so
// that mail can be sorted by it, and counts. See bounce-milter(8).
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
