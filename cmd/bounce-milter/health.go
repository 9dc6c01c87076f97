package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/milter"
)

// healthPatience is how long a daemon may take to say how it is. It is shorter than what
// containers allow, so that the answer says why.
const healthPatience = 4 * time.Second

// runHealth asks the daemon of this configuration whether it serves mail. It needs nothing
// but this program, so it works in an image without a shell.
func runHealth(a *app, _ []string) error {
	cfg, err := config.Load(a.options.config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthPatience)
	defer cancel()
	m := cfg.Milter
	if m.Metrics != (milter.Socket{}) && m.Metrics.Network != milter.Systemd && m.Web.ConfigFile == "" {
		return askPage(ctx, a.out, m.Metrics)
	}
	// There is no page, or it is not for everybody: be a mail server instead.
	asked := false
	for _, socket := range m.Listen {
		if socket.Network == milter.Systemd {
			continue
		}
		asked = true
		if err := askMilter(ctx, socket); err != nil {
			return fmt.Errorf("asking the milter at %s: %w", socket, err)
		}
	}
	if !asked {
		return errors.New("asking the daemon: its sockets are systemd's: see systemctl status bounce-milter")
	}
	fmt.Fprintln(a.out, "ready")
	return nil
}

// askPage asks for /-/ready and prints the answer.
func askPage(ctx context.Context, out io.Writer, socket milter.Socket) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, socket.Network, socket.Address)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/-/ready", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking the daemon at %s: %w", socket, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("asking the daemon at %s: %w", socket, err)
	}
	said := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the daemon at %s: %s", socket, strings.ReplaceAll(said, "\n", "; "))
	}
	fmt.Fprintln(out, said)
	return nil
}

// askMilter begins a session of the milter protocol, as a mail server does, and ends it.
func askMilter(ctx context.Context, socket milter.Socket) error {
	conn, err := new(net.Dialer).DialContext(ctx, socket.Network, socket.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	// Version 6, no actions, no optional parts of the protocol.
	offer := binary.BigEndian.AppendUint32(append([]byte{0, 0, 0, 13}, 'O'), 6)
	if _, err := conn.Write(append(offer, 0, 0, 0, 0, 0, 0, 0, 0)); err != nil {
		return err
	}
	var answer [5]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[4] != 'O' {
		return fmt.Errorf("it answered %q, which is not the milter protocol", answer[:])
	}
	_, err = conn.Write([]byte{0, 0, 0, 1, 'Q'})
	return err
}
