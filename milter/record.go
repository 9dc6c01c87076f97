package milter

import "github.com/bounce-milter/bounce-milter/internal/event"

// Recorder takes the records of one message: those of a report, one for each of its
// recipients. Record is called before the MTA is told that the message is accepted, so
// it returns soon, whatever becomes of whoever reads the records. The slice and all it
// holds are the Recorder's own from then on. Any number of goroutines may call it.
type Recorder interface {
	Record([]event.Record)
}
