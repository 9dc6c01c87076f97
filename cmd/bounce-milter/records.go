package main

import (
	"os"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

// printRecords prints the records of a result, one a line.
func (a *app) printRecords(res *classify.Result, env event.Envelope) error {
	for _, r := range event.Build(res, env) {
		line, err := r.JSON()
		if err != nil {
			return err
		}
		if _, err := (plainJSON{a.out}).Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// hostname returns the name of this machine for records.
func hostname() string {
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}
