package milter

import (
	"net"
	"syscall"
)

// quickAck returns a function that makes the kernel acknowledge at once what arrives
// next; nil if the connection is not TCP. Otherwise an MTA that sends its commands in
// small pieces would wait 40 ms for each (Nagle's algorithm and delayed
// acknowledgements). Linux forgets the option after some segments, so it is set again
// before each read that follows no answer.
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
