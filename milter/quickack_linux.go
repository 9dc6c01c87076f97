package milter

import (
	"net"
	"syscall"
)

// quickAck returns a function that makes the kernel acknowledge what arrives
// next at once, nil where the connection is not TCP. Linux forgets the wish
// after some segments, so it is renewed before each read that follows no
// answer: without it, an MTA that sends its commands in small pieces waits
// 40 ms for each (Nagle's algorithm against delayed acknowledgement).
func quickAck(c net.Conn) func() {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	set := func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) }
	return func() { _ = raw.Control(set) }
}
