package milter

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pair returns both ends of a connection.
func pair(t *testing.T, network, addr string) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial(network, ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

// What reads and writes a connection directly does what the connection does.
func TestDirect(t *testing.T) {
	for network, addr := range map[string]string{"unix": filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		t.Run(network, func(t *testing.T) {
			c, peer := pair(t, network, addr)
			rw := direct(c)

			// More than the kernel keeps is written in pieces, and read as it comes.
			sent := bytes.Repeat([]byte("0123456789"), 1<<20)
			wrote := make(chan error, 1)
			go func() {
				_, err := rw.Write(sent)
				wrote <- err
			}()
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(direct(peer), got); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("what came is not what was sent: %v", err)
			}
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}

			for what, do := range map[string]func([]byte) (int, error){"read": rw.Read, "write": rw.Write} {
				if n, err := do(nil); n != 0 || err != nil {
					t.Errorf("%s of nothing: %d, %v", what, n, err)
				}
			}
			c.SetDeadline(time.Unix(1, 0))
			for what, do := range map[string]func([]byte) (int, error){"read": rw.Read, "write": rw.Write} {
				if _, err := do(make([]byte, 10)); !isTimeout(err) || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s after the deadline: %v", what, err)
				}
			}
			c.SetDeadline(time.Time{})

			peer.Close()
			if n, err := rw.Read(make([]byte, 10)); n != 0 || err != io.EOF {
				t.Errorf("reading from a peer that is gone: %d, %v", n, err)
			}
			var err error
			for err == nil { // over TCP the first octets are still taken
				_, err = rw.Write(sent[:1000])
			}
			if isTimeout(err) {
				t.Errorf("writing to a peer that is gone: %v", err)
			}
			c.Close()
			for what, do := range map[string]func([]byte) (int, error){"read": rw.Read, "write": rw.Write} {
				if _, err := do(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s after closing: %v", what, err)
				}
			}
		})
	}
}

// A connection that is no socket reads and writes by itself.
func TestDirectNoSocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if direct(a) != io.ReadWriter(a) {
		t.Error("a pipe in memory is taken for a socket")
	}
}
