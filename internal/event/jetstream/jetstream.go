// Package jetstream publishes records to a stream of NATS JetStream. A stream is
// replicated, stores each record once and has any number of consumers, which suits sites
// with several mail servers.
//
// A record is done when the stream has acknowledged it, that is, when a majority of the
// stream's replicas have written it. Its subject is made from a template, and its id is
// sent as Nats-Msg-Id, so that a record that is sent again within the stream's window for
// duplicates is stored once. The sink never creates the stream: how long a stream keeps
// records, on how many servers, and under which subjects is for the administrator to
// decide, and a mail server's credentials should not allow it to.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// window is how many records may be unacknowledged at a time. If one is lost, no
	// more than this many can be stored before it, out of order.
	window = 512
	// ackWait is the longest wait for one acknowledgement. It ends the wait if the
	// stream's leader goes down, which the servers do not report.
	ackWait = 10 * time.Second
	// connectWait is the longest time that one Send waits for a connection.
	connectWait = 3 * time.Second
	// writeWait is the longest time that a write to a server that does not read takes.
	writeWait = 5 * time.Second
	// pingEvery is the time between pings. A server that is silent for longer than two
	// of these is given up.
	pingEvery = 20 * time.Second
	// reconnectWait is the time between two attempts to connect to the same server.
	reconnectWait, reconnectJitter = time.Second, 500 * time.Millisecond
)

// Sink publishes records. It connects in the background, and reconnects for ever.
type Sink struct {
	opts    Options
	subject *subject
	nats    nats.Options
	up      chan struct{} // a connection was made
	upset   chan error    // an error of a server that does not say which message it is about

	mu      sync.Mutex
	conn    *nats.Conn // nil until the first connection is made
	js      jetstream.JetStream
	dialing bool
	why     error // why the last connection failed
	closed  bool
}

var _ event.Sink = (*Sink)(nil)

// New makes the sink. It reads the credentials but does not wait for a server.
func New(o Options) (event.Sink, error) {
	subject, err := parseSubject(o.subject())
	if err != nil {
		return nil, fmt.Errorf("reading the subject: %w", err)
	}
	s := &Sink{opts: o, subject: subject, up: make(chan struct{}, 1), upset: make(chan error, 1)}
	s.nats = nats.GetDefaultOptions()
	options := []nats.Option{
		nats.Name("bounce-milter"),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1), // no buffer: what cannot be sent now is sent again from the spool
		nats.FlusherTimeout(writeWait), nats.PingInterval(pingEvery),
		nats.ConnectHandler(func(*nats.Conn) { notify(s.up, struct{}{}) }),
		nats.ReconnectHandler(func(*nats.Conn) { notify(s.up, struct{}{}) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { s.blame(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { s.blame(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.blame(err); notify(s.upset, err) }),
	}
	tls, err := o.tls()
	if err != nil {
		return nil, err
	}
	if tls != nil {
		options = append(options, nats.Secure(tls))
	}
	if o.CredentialsFile != "" {
		with, err := withCredentials(o.CredentialsFile)
		if err != nil {
			return nil, err
		}
		options = append(options, with)
	}
	s.nats.Servers = o.Servers
	for _, set := range options {
		if err := set(&s.nats); err != nil {
			return nil, fmt.Errorf("setting up NATS: %w", err)
		}
	}
	s.dial()
	return s, nil
}

// notify puts v into c for whoever waits on it, unless there is a value already.
func notify[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// dial begins to connect, unless there is a working connection or one is being made.
// It does not wait, because the first round over all servers may take long; after that
// the library goes on by itself until a server answers.
func (s *Sink) dial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.dialing || s.conn != nil && !s.conn.IsClosed() {
		return
	}
	s.dialing, s.conn = true, nil
	go func() {
		conn, js, err := s.connect()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dialing = false
		switch {
		case err != nil:
			s.why = err
		case s.closed:
			conn.Close()
		default:
			s.conn, s.js = conn, js
			notify(s.up, struct{}{})
		}
	}()
}

func (s *Sink) connect() (*nats.Conn, jetstream.JetStream, error) {
	conn, err := s.nats.Connect()
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(ackWait))
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, js, nil
}

func (s *Sink) blame(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = err
}

// ready returns a connection on which records can be sent now.
func (s *Sink) ready(ctx context.Context) (jetstream.JetStream, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	s.dial() // QUIRK: nats.go closes a connection for good on a server's error that it does not know
	for {
		s.mu.Lock()
		conn, js, closed := s.conn, s.js, s.closed
		s.mu.Unlock()
		switch {
		case closed:
			return nil, errors.New("publishing to NATS: the sink is closed")
		case conn != nil && conn.IsConnected():
			return js, nil
		}
		select {
		case <-s.up:
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to NATS at %s: %w", strings.Join(s.opts.Servers, ", "), s.blamed())
		}
	}
}

func (s *Sink) blamed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		return errors.New("none has answered yet")
	}
	return s.why
}

// Send publishes a batch in order, many at once, and waits for each acknowledgement.
func (s *Sink) Send(ctx context.Context, batch []event.Item) (sent event.Sent, err error) {
	js, err := s.ready(ctx)
	if err != nil {
		return sent, err
	}
	select {
	case <-s.upset: // of an earlier batch
	default:
	}
	type flight struct {
		ack     jetstream.PubAckFuture
		refused error
	}
	flights := make([]flight, 0, len(batch))
	var broken error // why no more are sent
	for sent.Done < len(batch) {
		for broken == nil && len(flights) < min(len(batch), sent.Done+window) {
			ack, err := js.PublishMsgAsync(s.message(batch[len(flights)]), jetstream.WithRetryAttempts(0))
			var refused error
			switch {
			case errors.Is(err, nats.ErrMaxPayload):
				refused = err
			case err != nil:
				broken = fmt.Errorf("publishing to NATS: %w", err)
				continue
			}
			flights = append(flights, flight{ack, refused})
		}
		if sent.Done == len(flights) {
			return sent, broken
		}
		f := flights[sent.Done]
		if f.refused == nil {
			f.refused, err = s.await(ctx, f.ack)
			if err != nil {
				return sent, err
			}
		}
		if f.refused != nil {
			sent.Refused = append(sent.Refused, sent.Done)
			sent.Why = append(sent.Why, fmt.Errorf("publishing to NATS: %w", f.refused))
		}
		sent.Done++
	}
	return sent, nil
}

func (s *Sink) message(item event.Item) *nats.Msg {
	m := &nats.Msg{Subject: s.subject.forRecord(item.Record()), Data: item.JSON, Header: nats.Header{
		jetstream.MsgIDHeader: {item.ID},
	}}
	if s.opts.Stream != "" {
		m.Header[jetstream.ExpectedStreamHeader] = []string{s.opts.Stream}
	}
	return m
}

// Errors of a stream about one message (nats-server, server/errors.json). The first two
// stay the same however often the message is sent.
const (
	codeMessageTooLarge jetstream.ErrorCode = 10054
	codeHeaderTooLarge  jetstream.ErrorCode = 10097
	codeOtherStream     jetstream.ErrorCode = 10060
)

// await waits until one record is acknowledged, or refused for good.
func (s *Sink) await(ctx context.Context, ack jetstream.PubAckFuture) (refused, err error) {
	select {
	case <-ack.Ok():
		return nil, nil
	case err = <-ack.Err():
	case err = <-s.upset:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for NATS to acknowledge: %w", ctx.Err())
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == codeMessageTooLarge || api.ErrorCode == codeHeaderTooLarge) {
		return err, nil
	}
	subject := ack.Msg().Subject
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return nil, fmt.Errorf("no stream of NATS has the subject %q: create one, unless its servers have just gone down: %s", subject, s.create())
	case errors.As(err, &api) && api.ErrorCode == codeOtherStream:
		return nil, fmt.Errorf("another stream than %q has the subject %q: add the subject to %[1]q, or set stream to that other stream",
			s.opts.Stream, subject)
	}
	return nil, fmt.Errorf("publishing to NATS as %q: %w", subject, err)
}

// create returns the command that creates a stream for our subjects.
func (s *Sink) create() string {
	name := s.opts.Stream
	if name == "" {
		first, _, _ := strings.Cut(s.subject.wildcard(), ".")
		name = strings.ToUpper(first)
		if name == "*" {
			name = "BOUNCES"
		}
	}
	return fmt.Sprintf("nats stream add %s --subjects='%s' --storage=file --replicas=3 --dupe-window=1h --defaults", name, s.subject.wildcard())
}

// Close ends the connection.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.conn != nil {
		s.conn.Close()
	}
	return nil
}
