package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/natslab"
)

// record is what the check reads of a record.
type record struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Recipient string `json:"recipient"`
	Action    string `json:"action"`
	Type      string `json:"type"`
}

// check is what was found at the sinks.
type check struct {
	run     *run
	bounces map[string]*bounce // by recipient
	ids     map[string]string  // of records, by recipient
	lines   map[string][]byte  // by id
	records map[string]record  // by id
	at      map[string]map[string]bool
	missing []string
	wrong   []string
}

// check compares what each sink has with the ledger.
func (r *run) check() (*check, error) {
	c := &check{run: r, bounces: r.ledger.all(), ids: map[string]string{}, lines: map[string][]byte{}, records: map[string]record{},
		at: map[string]map[string]bool{}}
	if err := c.file(); err != nil {
		return nil, err
	}
	for i, id := range r.sinks.crm.IDs() {
		c.take("crm", i, r.sinks.crm.Record(id))
	}
	c.inOrder("crm", r.sinks.crm.IDs(), 0)
	stored, err := natslab.Messages(r.sinks.js, "BOUNCES")
	if err != nil {
		return nil, err
	}
	var ids []string
	for i, m := range stored {
		if c.at["fleet"][m.ID] {
			c.wrongly("fleet has %s twice", m.ID)
		}
		if id := c.take("fleet", i, m.Data); id != m.ID {
			c.wrongly("fleet names %s what is %s", m.ID, id)
		}
		ids = append(ids, m.ID)
	}
	c.inOrder("fleet", ids, inFlight)
	c.listmonk()
	for to, b := range c.bounces {
		if !b.accepted {
			continue
		}
		id, known := c.ids[to]
		for _, sink := range []string{"archive", "crm", "fleet"} {
			if !known || !c.at[sink][id] {
				c.missing = append(c.missing, fmt.Sprintf("%s was accepted, and %s has no record of it", to, sink))
			}
		}
		if wanted := listmonkType(c.records[id]); known && wanted != "" && !c.at["lists"][id] {
			c.missing = append(c.missing, fmt.Sprintf("%s is %s to listmonk, and it does not know", to, wanted))
		}
	}
	return c, nil
}

// inFlight is how many records are on their way to JetStream at once. When a server is
// killed some of them may arrive and others before them may not.
const inFlight = 512

func (c *check) wrongly(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// file reads the file in all its parts.
func (c *check) file() error {
	torn := 0
	var ids []string
	for _, path := range append(append([]string(nil), c.run.sinks.parts...), c.run.sinks.file) {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(data) {
			if !json.Valid(line) {
				torn++
				continue
			}
			ids = append(ids, c.take("archive", len(ids), bytes.TrimSuffix(line, []byte("\n"))))
		}
	}
	if torn > c.run.kills {
		c.wrongly("archive has %d lines that are no JSON, of %d kills", torn, c.run.kills)
	}
	c.inOrder("archive", ids, 0)
	return nil
}

// take notes a record that a sink has, and returns its id.
func (c *check) take(sink string, place int, line []byte) string {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		c.wrongly("%s, %d: %v", sink, place, err)
		return ""
	}
	if c.at[sink] == nil {
		c.at[sink] = map[string]bool{}
	}
	c.at[sink][r.ID] = true
	if before, known := c.lines[r.ID]; known {
		if !bytes.Equal(before, line) {
			c.wrongly("%s has another record by the id %s than others:\n%s\n%s", sink, r.ID, line, before)
		}
		return r.ID
	}
	c.lines[r.ID], c.records[r.ID] = bytes.Clone(line), r
	if err := lab.CheckEvent(line); err != nil {
		c.wrongly("%s, %d: %v\n%s", sink, place, err, line)
	}
	if c.bounces[r.Recipient] == nil {
		c.wrongly("%s has a record of %q, of whom nobody sent a bounce", sink, r.Recipient)
	}
	if other, known := c.ids[r.Recipient]; known {
		c.wrongly("%s has %s under the id %s, and it is known as %s", sink, r.Recipient, r.ID, other)
	} else {
		c.ids[r.Recipient] = r.ID
	}
	return r.ID
}

// inOrder checks that the bounces of each connection came in order, apart from records
// that came again, and for a sink that has so many on their way at once.
func (c *check) inOrder(sink string, ids []string, slack int) {
	type last struct{ place, number int }
	highest := map[int]last{} // by connection
	seen := map[string]bool{}
	for place, id := range ids {
		b := c.bounces[c.records[id].Recipient]
		if seen[id] || b == nil {
			continue
		}
		seen[id] = true
		h, known := highest[b.connection]
		if known && b.number < h.number {
			if place-h.place > slack {
				c.wrongly("%s has bounce %d of connection %d behind %d, by %d records", sink, b.number, b.connection, h.number, place-h.place)
			}
			continue
		}
		highest[b.connection] = last{place, b.number}
	}
}

// listmonk checks what listmonk was told.
func (c *check) listmonk() {
	var ids []string
	c.at["lists"] = map[string]bool{}
	for _, b := range c.run.sinks.lists.Bounces() {
		var meta struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(b.Meta), &meta); err != nil {
			c.wrongly("lists: %v", err)
			continue
		}
		r, known := c.records[meta.ID]
		switch {
		case !known:
			c.missing = append(c.missing, fmt.Sprintf("lists has %s, which no other sink has yet", meta.ID))
		case listmonkType(r) != b.Type:
			c.wrongly("lists was told %q of %s, which is %s %s %s", b.Type, r.Recipient, r.Kind, r.Action, r.Type)
		case b.Email != r.Recipient:
			c.wrongly("lists was told of %q, who is %s", b.Email, r.Recipient)
		}
		c.at["lists"][meta.ID] = true
		ids = append(ids, meta.ID)
	}
	c.inOrder("lists", ids, 0)
}

// listmonkType is what listmonk is to be told of a record, "" for nothing. A block is
// about the sender.
func listmonkType(r record) string {
	switch {
	case r.Kind == "feedback":
		return "complaint"
	case r.Action == "failed" && (r.Type == "hard" || r.Type == "soft"):
		return r.Type
	}
	return ""
}
