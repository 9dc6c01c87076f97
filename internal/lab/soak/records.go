package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/chaos"
)

// troubles tests that records arrive while everything fails.
func troubles(bin string, duration time.Duration, clients int) error {
	return inLab(bin, func(l *lab.Lab, bin string) error {
		fmt.Printf("\nrecords in troubles, %v\n", duration)
		figures, err := chaos.Run(chaos.Config{Lab: l, Bin: bin, Postfix: true, Clients: clients, Bounces: 1000, Rounds: 6, Duration: duration})
		fmt.Println(figures)
		if err == nil {
			fmt.Println("every accepted bounce is a record at every sink, under one id")
		}
		return err
	})
}

// outages measures what it costs if a sink takes nothing for an hour at 1,000 records a
// second, with a spool and, for a tenth of the time, without.
func outages(bin string, records int) error {
	for _, o := range []chaos.Outage{
		{Spool: true, Records: records, Recipients: 10},
		{Spool: false, Records: records / 10, Recipients: 10},
	} {
		err := inLab(bin, func(l *lab.Lab, bin string) error {
			o.Lab, o.Bin = l, bin
			figures, err := o.Run()
			fmt.Println("\n" + figures)
			return err
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("memory and spool stay within their bounds while a sink is down")
	return nil
}

// inLab calls f with a lab of its own.
func inLab(bin string, f func(l *lab.Lab, bin string) error) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer l.Close()
	return f(l, bin)
}
