package webhook

import (
	"context"
	"errors"
	"net/http"

	"github.com/bounce-milter/bounce-milter/internal/event"
)

// sendNative sends a batch in arrays.
func (s *Sink) sendNative(ctx context.Context, batch []event.Item) (event.Sent, error) {
	var sent event.Sent
	for sent.Done < len(batch) {
		rest := batch[sent.Done:]
		if err := s.sendArray(ctx, rest[:fitting(rest)], &sent); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// fitting returns how many records, counted from the first, fit into an array. It is at
// least one.
func fitting(batch []event.Item) int {
	octets := len("[]")
	for i, item := range batch {
		octets += len(item.JSON) + 1
		if i > 0 && (octets > maxOctets || i == maxRecords) {
			return i
		}
	}
	return len(batch)
}

// sendArray sends one array. If the receiver refuses it because of its records, sendArray
// sends each half separately.
func (s *Sink) sendArray(ctx context.Context, part []event.Item, sent *event.Sent) error {
	body := array(part)
	header := http.Header{}
	sign(header, s.secrets, batchID(part), s.now(), body)
	err := s.post(ctx, body, header)
	var refused *refusedError
	switch {
	case err == nil:
		sent.Done += len(part)
		return nil
	case !errors.As(err, &refused):
		return err
	case len(part) > 1 && refused.ofRecords():
		half := len(part) / 2
		if err := s.sendArray(ctx, part[:half], sent); err != nil {
			return err
		}
		return s.sendArray(ctx, part[half:], sent)
	}
	for range part {
		refuse(sent, refused)
	}
	return nil
}

// array joins records to a JSON array.
func array(batch []event.Item) []byte {
	size := 2
	for _, item := range batch {
		size += len(item.JSON) + 1
	}
	b := append(make([]byte, 0, size), '[')
	for i, item := range batch {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item.JSON...)
	}
	return append(b, ']')
}

// refuse notes that the next record is done and was refused.
func refuse(sent *event.Sent, why error) {
	sent.Refused = append(sent.Refused, sent.Done)
	sent.Why = append(sent.Why, why)
	sent.Done++
}
