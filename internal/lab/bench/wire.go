package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
)

// onTheWire measures each filter alone, one client on one connection.
func (b *bench) onTheWire() error {
	bounceRaw, ordinaryRaw := mails()
	to := mta.Envelope{QueueID: "4ABCD", To: "user@lab.test"}
	bounce := mta.Parse(to, bounceRaw)
	to.From = "ann@remote.test"
	ordinary := mta.Parse(to, ordinaryRaw)
	to.From = ticketsFrom
	ours := mta.Parse(to, ordinaryRaw)
	fmt.Printf("### On the milter wire\n\nA bounce of %d octets with %d header fields, and an ordinary mail of %d octets with %d, one connection.\n\n",
		len(bounceRaw), bounce.Fields(), len(ordinaryRaw), ordinary.Fields())
	var cells []*cell
	for _, network := range []string{"unix", "tcp"} {
		for _, f := range b.filters {
			if !f.keep {
				cells = append(cells, &cell{what: label(f, "bounce"), filter: f, network: network, msg: bounce})
			}
			if f.own {
				cells = append(cells, &cell{what: label(f, "ordinary mail"), filter: f, network: network, msg: ordinary})
			}
			if f.name == ticketsName {
				cells = append(cells, &cell{what: f.name + ", mail of ours", filter: f, network: network, msg: ours})
			}
		}
	}
	cells = slices.DeleteFunc(cells, func(c *cell) bool { return !b.wanted(c) })
	for range b.rounds {
		for _, c := range cells {
			network, addr := c.network, c.filter.addr(c.network)
			if _, _, _, err := pace(network, addr, c.msg, b.limit/10); err != nil { // warm up
				return fmt.Errorf("%s, %s: %w", c.what, network, err)
			}
			err := measured(c, func() (int, time.Duration, error) {
				n, took, tags, err := pace(network, addr, c.msg, b.limit)
				each := 5
				if c.filter.name == ticketsName {
					each++ // X-Bounce-Origin
				}
				if err == nil && c.filter.own && c.msg == bounce && tags != each*n {
					err = fmt.Errorf("%d bounces got %d headers", n, tags)
				}
				if err == nil && c.msg == ours && tags != n {
					err = fmt.Errorf("%d messages got %d tickets", n, tags)
				}
				return n, took, err
			})
			if err != nil {
				return err
			}
		}
	}
	fmt.Print("| milter | socket | msg/s | × go-milter | × libmilter | × bounce-milter | CPU µs/msg | RSS MiB |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range cells {
		fmt.Printf("| %s | %s | %.0f | %s | %s | %s | %.0f | %s |\n", c.what, c.network, c.rate(),
			times(c, cells, "go-milter, no-op"), times(c, cells, "libmilter, no-op"), c.timesOurs(cells), c.cpu(), c.resident())
	}
	fmt.Println()
	return nil
}

// times returns the ratio of a cell's rate to that of another filter on the same kind of
// socket.
func times(c *cell, cells []*cell, other string) string {
	for _, o := range cells {
		if o.filter != nil && o.filter.name == other && o.network == c.network && o.from == c.from {
			return fmt.Sprintf("%.1f", c.against(o))
		}
	}
	return "–"
}

// pace sends messages for a while over one connection, and returns how many it sent, how
// long that took, and how many header fields were inserted.
func pace(network, addr string, m *mta.Message, limit time.Duration) (n int, took time.Duration, tags int, err error) {
	c, err := mta.Dial(network, addr)
	if err != nil {
		return 0, 0, 0, err
	}
	defer c.Close()
	began := time.Now()
	for {
		if err := c.Send(m); err != nil {
			return 0, 0, 0, fmt.Errorf("sending a message: %w", err)
		}
		n++
		if took = time.Since(began); took >= limit {
			return n, took, c.Tags(), nil
		}
	}
}

// timesOurs returns the ratio of the rate of one of our filters to that of ours with the
// default configuration, for the same message.
func (c *cell) timesOurs(cells []*cell) string {
	for _, o := range cells {
		if o != c && c.filter.own && o.filter.name == plainName && o.network == c.network && o.msg == c.msg {
			return fmt.Sprintf("%.2f", c.against(o))
		}
	}
	return "–"
}
