// Package natslab starts real NATS servers with JetStream for tests: a single one or a
// cluster. Each server can be killed, as by kill -9, and started again.
//
// A server is another process of the test program, so that it can be killed while the test
// goes on. Tests that use the package must call [Main] first of all in TestMain.
package natslab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// childEnv is the environment variable with the configuration file, if this process is a
// server.
const childEnv = "NATSLAB_SERVER"

// Main runs the server if this process is one. Otherwise it returns at once.
func Main() {
	path := os.Getenv(childEnv)
	if path == "" {
		return
	}
	if err := serve(path); err != nil {
		fmt.Fprintln(os.Stderr, "nats-server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(path string) error {
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		return err
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return nil
}

// Config says what to start.
type Config struct {
	// Dir is where the servers write. The caller removes it.
	Dir string
	// Ports are free ports of the loopback: one for a single server, two for each server
	// of a cluster.
	Ports []int
	// Conf is added to the configuration of each server.
	Conf string
}

// Servers are running servers. If there are several they form a cluster.
type Servers struct {
	conf  []string // files
	ports []int    // of clients
	run   []*exec.Cmd
}

// patience is the longest wait for anything.
const patience = 60 * time.Second

// Start starts the servers and waits until each accepts connections.
func Start(cfg Config) (*Servers, error) {
	n := (len(cfg.Ports) + 1) / 2
	s := &Servers{run: make([]*exec.Cmd, n)}
	var routes []string
	for i := 1; i < len(cfg.Ports); i += 2 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", cfg.Ports[i]))
	}
	for i := range n {
		port, name := cfg.Ports[2*i], fmt.Sprintf("n%d", i)
		text := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:%d\njetstream { store_dir: %q }\nlog_file: %q\n%s\n",
			name, port, filepath.Join(cfg.Dir, name), filepath.Join(cfg.Dir, name+".log"), cfg.Conf)
		if len(routes) > 0 {
			text += fmt.Sprintf("cluster { name: lab, listen: 127.0.0.1:%d, routes: [%s] }\n", cfg.Ports[2*i+1], strings.Join(routes, ", "))
		}
		file := filepath.Join(cfg.Dir, name+".conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("configuring a NATS server: %w", err)
		}
		s.conf, s.ports = append(s.conf, file), append(s.ports, port)
	}
	for i := range n {
		if err := s.Restart(i); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// URLs returns the servers' addresses for clients.
func (s *Servers) URLs() (list []string) {
	for _, p := range s.ports {
		list = append(list, "nats://"+loopback(p))
	}
	return list
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Restart starts server i, which must not be running, and waits until it accepts connections.
func (s *Servers) Restart(i int) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("starting a NATS server: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+s.conf[i])
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting a NATS server: %w", err)
	}
	s.run[i] = cmd
	return until(func() error {
		c, err := net.Dial("tcp", loopback(s.ports[i]))
		if err == nil {
			c.Close()
		}
		return err
	})
}

// Kill ends server i, as kill -9 does.
func (s *Servers) Kill(i int) {
	if cmd := s.run[i]; cmd != nil {
		cmd.Process.Kill() // an error means that it has ended already
		cmd.Wait()         // the exit status does not matter
		s.run[i] = nil
	}
}

// Close ends all servers.
func (s *Servers) Close() {
	for i := range s.run {
		s.Kill(i)
	}
}

// Connect returns a client of the servers, which reconnects for ever.
func (s *Servers) Connect(opts ...nats.Option) (*nats.Conn, jetstream.JetStream, error) {
	opts = append(opts, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	var nc *nats.Conn
	err := until(func() (err error) {
		nc, err = nats.Connect(strings.Join(s.URLs(), ","), opts...)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	js, err := jetstream.New(nc)
	return nc, js, err
}

// CreateStream creates a stream in files, with as many replicas as there are servers. It
// waits until the servers are able to, because a cluster must choose its leader first.
func (s *Servers) CreateStream(js jetstream.JetStream, name string, subjects ...string) error {
	return until(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: subjects, Storage: jetstream.FileStorage,
			Replicas: len(s.ports), Duplicates: time.Hour})
		return err
	})
}

// Leader returns the index of the server that leads a stream.
func (s *Servers) Leader(js jetstream.JetStream, stream string) (n int, err error) {
	err = until(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		st, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		cluster := st.CachedInfo().Cluster
		if cluster == nil {
			n = 0
			return nil
		}
		_, err = fmt.Sscanf(cluster.Leader, "n%d", &n)
		return err
	})
	return n, err
}

// Message is a message in a stream.
type Message struct {
	Subject, ID string
	Data        []byte
}

// Messages reads a whole stream in order. It begins again if the server that it reads from
// goes down.
func Messages(js jetstream.JetStream, stream string) (list []Message, err error) {
	err = until(func() error {
		list, err = read(js, stream)
		return err
	})
	if err != nil {
		return list, fmt.Errorf("reading the stream %s: %w", stream, err)
	}
	return list, nil
}

func read(js jetstream.JetStream, stream string) (list []Message, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	c, err := st.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	for n := int(st.CachedInfo().State.Msgs); len(list) < n; {
		batch, err := c.Fetch(min(n-len(list), 1000), jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			return list, err
		}
		for m := range batch.Messages() {
			list = append(list, Message{m.Subject(), m.Headers().Get(jetstream.MsgIDHeader), m.Data()})
		}
		if ctx.Err() != nil {
			return list, fmt.Errorf("%d of %d messages", len(list), n)
		}
	}
	return list, nil
}

// until calls f again and again until it returns no error, or patience ends.
func until(f func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
