// Command bounce-milter recognises bounces, says what each one means, tags it with
// headers to sort by, and counts. See bounce-milter(8).
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
