//go:build !linux

package milter

import (
	"io"
	"net"
)

// direct returns what reads and writes c.
func direct(c net.Conn) io.ReadWriter { return c }
