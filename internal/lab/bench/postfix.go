package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// underPostfix measures Postfix with each filter: smtp-source sends over one
// connection, Postfix takes the mail and discards it.
func (b *bench) underPostfix() error {
	services := []lab.Service{{Name: withoutMilter}}
	for i, f := range b.filters {
		for _, network := range []string{"unix", "tcp"} {
			services = append(services, lab.Service{Name: serviceOf(network, i), Milters: f.spec(network)})
		}
	}
	postfix, err := b.lab.StartPostfix("postfix", lab.PostfixConfig{Services: services, Main: "virtual_transport = discard:\n"})
	if err != nil {
		return err
	}
	bounce, ordinary := mails()
	files := map[string][]byte{"bounce": bounce, "ordinary mail": ordinary}
	for what, raw := range files {
		if err := os.WriteFile(b.lab.Path(what+".eml"), raw, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("### Under Postfix %s\n\nThe same messages by smtp-source over one connection, %d a measurement.\n\n", postfix.Version, b.count)

	cells := b.postfixCells()
	for range b.rounds {
		for _, c := range cells {
			if err := b.sendThrough(postfix, c); err != nil {
				return err
			}
		}
	}
	printPostfixTable(cells)
	return nil
}

// withoutMilter is Postfix's service that asks no milter.
const withoutMilter = "none"

// serviceOf names Postfix's service that asks a filter, by its number.
func serviceOf(network string, filter int) string { return fmt.Sprint(network, filter) }

// postfixCells lists what is measured under Postfix: for each kind of mail first what
// the others are compared with.
func (b *bench) postfixCells() []*cell {
	var cells []*cell
	for _, what := range []string{"ordinary mail", "bounce"} {
		sender := "ann@remote.test"
		if what == "bounce" {
			sender = ""
		}
		add := func(c cell) {
			if c.file = b.lab.Path(what + ".eml"); b.wanted(&c) {
				cells = append(cells, &c)
			}
		}
		add(cell{what: "no milter, " + what, service: withoutMilter, network: "–", from: sender})
		for _, network := range []string{"unix", "tcp"} {
			for i, f := range b.filters {
				if what == "bounce" && f.keep {
					continue
				}
				add(cell{what: label(f, what), service: serviceOf(network, i), filter: f, network: network, from: sender})
				if what != "bounce" && f.name == ticketsName {
					add(cell{what: f.name + ", mail of ours", service: serviceOf(network, i), filter: f, network: network, from: ticketsFrom})
				}
			}
		}
	}
	return cells
}

// sendThrough takes one sample of a cell under Postfix.
func (b *bench) sendThrough(postfix *lab.Postfix, c *cell) error {
	addr := postfix.Addr(c.service)
	if _, err := source(addr, c, 20); err != nil { // warm up
		return err
	}
	err := measured(c, func() (int, time.Duration, error) {
		took, err := source(addr, c, b.count)
		return b.count, took, err
	})
	if err != nil {
		return err
	}
	// What one measurement leaves in the queue must not burden the next.
	return lab.Until("Postfix's queue to empty", func() (bool, error) {
		n, err := postfix.QueueLength()
		return n == 0, err
	})
}

func printPostfixTable(cells []*cell) {
	fmt.Print("| milter | socket | msg/s | ratio to none | added ms/msg | CPU µs/msg | RSS MiB |\n|---|---|--:|--:|--:|--:|--:|\n")
	var none *cell
	for _, c := range cells {
		if c.filter == nil {
			none = c
			fmt.Printf("| %s | – | %.0f | 1.00 | – | – | – |\n", c.what, c.rate())
			continue
		}
		fmt.Printf("| %s | %s | %.0f | %.2f | %.2f | %.0f | %s |\n", c.what, c.network, c.rate(), c.against(none),
			1000/c.rate()-1000/none.rate(), c.cpu(), c.resident())
	}
}

// source sends n messages with smtp-source and says how long that took.
func source(addr string, c *cell, n int) (time.Duration, error) {
	cmd := exec.Command("smtp-source", "-d", "-s", "1", "-m", fmt.Sprint(n), "-f", c.from, "-t", "user0@lab.test", "-F", c.file, addr)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("sending with smtp-source: %w: %s", err, out)
	}
	return time.Since(began), nil
}
