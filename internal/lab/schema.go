package lab

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// eventSchema is packaging/schema/event.v1.json.
var eventSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(filepath.Join(root, "packaging", "schema", "event.v1.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the schema of events: %w", err)
	}
	return s, nil
})

// CheckEvent checks one line of events against their schema.
func CheckEvent(line []byte) error {
	s, err := eventSchema()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if err := s.Validate(v); err != nil {
		return fmt.Errorf("an event is other than its schema says: %w", err)
	}
	return nil
}
