package main

import (
	"cmp"
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
	var noPage error
	if m.Metrics != (milter.Socket{}) && m.Metrics.Network != milter.Systemd && m.Web.ConfigFile == "" {
		answer, err := askPage(ctx, m.Metrics)
		if err == nil {
			return answer.show(a.out, m.Metrics)
		}
		noPage = fmt.Errorf("asking the daemon at %s: %w", m.Metrics, err)
	}
	// There is no page, it is not for everybody, or somebody else has its socket, while mail
	// may be served: be a mail server instead.
	asked := false
	for _, socket := range m.Listen {
		if socket.Network == milter.Systemd {
			continue
		}
		asked = true
		if err := askMilter(ctx, socket); err != nil {
			return cmp.Or(noPage, fmt.Errorf("asking the milter at %s: %w", socket, err))
		}
	}
	switch {
	case noPage != nil && !asked:
		return noPage
	case noPage != nil:
		a.complain(fmt.Errorf("%w; but the milter sockets answer", noPage))
	case !asked:
		return errors.New("asking the daemon: its sockets are systemd's: see systemctl status bounce-milter")
	}
	fmt.Fprintln(a.out, "ready")
	return nil
}

// pageAnswer is what /-/ready says.
type pageAnswer struct {
	ready bool
	said  string
}

func (p *pageAnswer) show(out io.Writer, socket milter.Socket) error {
	if !p.ready {
		return fmt.Errorf("the daemon at %s: %s", socket, strings.ReplaceAll(p.said, "\n", "; "))
	}
	fmt.Fprintln(out, p.said)
	return nil
}

// askPage asks for /-/ready. The error says why there is no answer of ours.
func askPage(ctx context.Context, socket milter.Socket) (*pageAnswer, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, socket.Network, socket.Address)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/-/ready", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, errors.Unwrap(err) // the address is ours
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	said := strings.TrimSpace(string(body))
	p := &pageAnswer{ready: resp.StatusCode == http.StatusOK, said: said}
	first, _, _ := strings.Cut(said, "\n")
	if want := map[bool]string{true: "ready", false: "not ready"}[p.ready]; first != want {
		return nil, fmt.Errorf("another program answers there, with status %d", resp.StatusCode)
	}
	return p, nil
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
