package maillog

import (
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
)

// Story is what became of one message to one recipient: its last attempt, with the final
// verdict.
type Story struct {
	// Entry is the last attempt. If that one tells no cause ("retry time not reached"),
	// its reply and codes are those of an earlier attempt that does.
	Entry
	Verdict classify.Recipient
	// Before is the verdict on the last failure, if the last attempt succeeded.
	Before   classify.Recipient
	Attempts int       // attempts that were seen
	First    time.Time // when the first of them was
}

// Stories puts the attempts at one message to one recipient together. While the message
// is deferred its story is open; a success, a bounce, or a line that says that the server
// gave up ends it. Stories are kept in bounded memory: the one without an attempt for the
// longest time ends early if there are too many, or after [Stories.MaxAge].
type Stories struct {
	// MaxOpen bounds the open stories; 0 means DefaultMaxOpen. An open story takes about a
	// kilobyte.
	MaxOpen int
	// MaxAge is how long after its last attempt a story ends, by the time stamps of the
	// log; 0 means DefaultMaxAge.
	MaxAge time.Duration

	judge    *Judge
	end      func(*Story)
	open     map[storyKey]*openStory
	messages map[messageKey]*openStory // one of the open stories of each message
	oldest   *openStory                // by their last attempts
	newest   *openStory
	names    map[string]string // hosts and programs, which are few
}

// The defaults of [Stories].
const (
	DefaultMaxOpen = 16 << 10
	DefaultMaxAge  = 3 * 24 * time.Hour
)

type messageKey struct{ host, queueID string }

type storyKey struct {
	messageKey
	recipient string
}

// openStory is an open story, in the list of all by age and in the ring of its message.
type openStory struct {
	Story
	older, newer *openStory
	prev, next   *openStory
}

// maxKept bounds what is kept of a reply while its story is open, in octets.
const maxKept = 1 << 10

// NewStories returns a collector that passes each story to end, in the order in which
// they end. The judge is asked again if an expiry makes a deferral final.
func NewStories(j *Judge, end func(*Story)) *Stories {
	return &Stories{judge: j, end: end, open: map[storyKey]*openStory{}, messages: map[messageKey]*openStory{}, names: map[string]string{}}
}

// Open returns how many stories are open.
func (s *Stories) Open() int { return len(s.open) }

// Add adds an entry, and the verdict on it if it is about an attempt. Entries come in the
// order of the log.
func (s *Stories) Add(e *Entry, verdict *classify.Recipient) {
	s.closeOld(e.Time)
	message := messageKey{e.Host, e.QueueID}
	if e.Recipient == "" {
		s.endMessage(message, e, verdict)
		return
	}
	final := false
	switch e.Result {
	case Sent, Bounced, Expired, Passed:
		final = true
	case Deferred, Waiting:
	default:
		return
	}
	o := s.open[storyKey{message, e.Recipient}]
	switch {
	case o == nil && e.Result == Passed: // the story is that of the message that comes back
		return
	case o == nil && final:
		s.end(&Story{Entry: *e, Verdict: *verdict, Attempts: 1, First: e.Time})
		return
	case o == nil:
		s.start(e, verdict)
		return
	}
	o.goOn(e, verdict, s)
	if final {
		s.finish(o)
	} else {
		s.touch(o)
	}
}

// goOn adds an attempt to a story.
func (o *openStory) goOn(e *Entry, verdict *classify.Recipient, s *Stories) {
	if e.Result == Waiting {
		o.Time, o.Delay = e.Time, max(o.Delay, e.Delay)
		return
	}
	if e.Result != Expired || e.Reply != "" { // giving up is not an attempt
		o.Attempts++
	}
	if e.Result.Failed() && s.tellsCause(&o.Verdict) && !s.tellsCause(verdict) {
		// A cause beats its consequence.
		o.Time, o.Delay = e.Time, max(o.Delay, e.Delay)
		if o.Result = e.Result; o.Result != Deferred {
			o.Verdict = s.judge.Recipient(&o.Entry)
		}
		return
	}
	before := o.Verdict
	if e.Result.Failed() {
		before = classify.Recipient{}
	}
	first, attempts := o.First, o.Attempts
	o.Story = s.compact(e, verdict)
	o.First, o.Attempts, o.Before = first, attempts, before
}

// tellsCause reports whether a verdict on a failure says more than that time ran out.
func (s *Stories) tellsCause(v *classify.Recipient) bool {
	r, _ := s.judge.engine.Reason(v.Reason)
	return v.Category != classify.Unclassified && !r.GivenUp
}

// endMessage ends the open stories of a message, as its last line says.
func (s *Stories) endMessage(message messageKey, e *Entry, verdict *classify.Recipient) {
	o := s.messages[message]
	if o == nil {
		if e.Result == Expired { // its attempts are not in this log
			s.end(&Story{Entry: *e, Verdict: *verdict, First: e.Time})
		}
		return
	}
	for ; o != nil; o = s.messages[message] {
		if e.Result == Expired {
			o.Time, o.Delay, o.Result = e.Time, max(o.Delay, e.Delay), Expired
			o.Verdict = s.judge.Recipient(&o.Entry)
		}
		s.finish(o)
	}
}

// Close ends all open stories, the oldest first.
func (s *Stories) Close() {
	for s.oldest != nil {
		s.finish(s.oldest)
	}
}

// closeOld ends stories without an attempt for longer than MaxAge.
func (s *Stories) closeOld(now time.Time) {
	age := s.MaxAge
	if age == 0 {
		age = DefaultMaxAge
	}
	for s.oldest != nil && !now.IsZero() && now.Sub(s.oldest.Time) > age {
		s.finish(s.oldest)
	}
}

// start opens a story.
func (s *Stories) start(e *Entry, verdict *classify.Recipient) {
	limit := s.MaxOpen
	if limit <= 0 {
		limit = DefaultMaxOpen
	}
	for len(s.open) >= limit {
		s.finish(s.oldest)
	}
	o := &openStory{Story: s.compact(e, verdict)}
	o.First, o.Attempts = e.Time, 1
	if o.Result == Waiting {
		o.Result, o.Attempts = Deferred, 0
	}
	key := o.key()
	s.open[key] = o
	o.prev, o.next = o, o
	if head := s.messages[key.messageKey]; head != nil {
		o.prev, o.next = head.prev, head
		o.prev.next, head.prev = o, o
	} else {
		s.messages[key.messageKey] = o
	}
	s.append(o)
}

func (o *openStory) key() storyKey {
	return storyKey{messageKey{o.Host, o.QueueID}, o.Recipient}
}

// finish ends a story.
func (s *Stories) finish(o *openStory) {
	key := o.key()
	delete(s.open, key)
	if o.next == o {
		delete(s.messages, key.messageKey)
	} else {
		o.prev.next, o.next.prev = o.next, o.prev
		s.messages[key.messageKey] = o.next
	}
	s.unlink(o)
	s.end(&o.Story)
}

// touch makes a story the newest.
func (s *Stories) touch(o *openStory) {
	s.unlink(o)
	s.append(o)
}

func (s *Stories) append(o *openStory) {
	o.older, o.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = o
	} else {
		s.oldest = o
	}
	s.newest = o
}

func (s *Stories) unlink(o *openStory) {
	if o.older != nil {
		o.older.newer = o.newer
	} else {
		s.oldest = o.newer
	}
	if o.newer != nil {
		o.newer.older = o.older
	} else {
		s.newest = o.older
	}
}

// compact copies an attempt into memory of its own, without what is not needed later.
func (s *Stories) compact(e *Entry, verdict *classify.Recipient) Story {
	st := Story{Entry: *e, Verdict: *verdict}
	st.Host, st.Program, st.PID = s.name(e.Host), s.name(e.Program), ""
	words, said := clean(e.Words, maxKept), clean(e.Reply, maxKept)
	if strings.Contains(words, said) {
		st.Words = strings.Clone(words)
		i := strings.Index(st.Words, said)
		st.Reply = st.Words[i : i+len(said)]
	} else {
		st.Words, st.Reply = strings.Clone(words), strings.Clone(said)
	}
	ids := [...]*string{&st.QueueID, &st.Recipient, &st.Original, &st.Relay, &st.RelayAddress}
	var all strings.Builder
	for _, v := range ids {
		all.WriteString(*v)
	}
	text := all.String()
	for _, v := range ids {
		*v, text = text[:len(*v)], text[len(*v):]
	}
	v := &st.Verdict
	v.Address, v.Original, v.RemoteMTA = st.Recipient, st.Original, st.Relay
	if v.Diagnostic = st.Reply; v.Diagnostic == "" {
		v.Diagnostic = st.Words
	}
	return st
}

// maxNames bounds the names that are shared.
const maxNames = 1000

// name returns the one copy of a name.
func (s *Stories) name(v string) string {
	if known, ok := s.names[v]; ok {
		return known
	}
	if len(s.names) >= maxNames {
		clear(s.names)
	}
	v = strings.Clone(v)
	s.names[v] = v
	return v
}
