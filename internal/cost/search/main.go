// Command search looks for messages that are expensive to read. It makes them from random
// pieces at every place of a message, keeps those that cost the most time per octet, or
// the most time per unit of counted work, and changes and recombines them. If a message
// exceeds its bounds, it saves the message and exits with 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/cost"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// search is the state of one run.
type search struct {
	engine  *classify.Engine
	wide    *classify.Engine // for growth, see cost.Grows
	people  *cost.Population
	out     io.Writer
	dir     string
	save    bool // save the most expensive message of each place as well
	tried   int
	bad     int
	dearest map[string]finding // by place, of the full size
}

type finding struct {
	recipe cost.Recipe
	cost   cost.Cost
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	fs := flag.NewFlagSet("search", flag.ContinueOnError)
	fs.SetOutput(errs)
	duration := fs.Duration("duration", 10*time.Minute, "how long to search")
	seed := fs.Uint64("seed", uint64(time.Now().UnixNano()), "of the random numbers")
	dir := fs.String("dir", os.TempDir(), "folder to save expensive messages in")
	save := fs.Bool("save", false, "save the dearest message of each place, too")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	runtime.GOMAXPROCS(1) // so that CPU time is that of one message
	root, err := cost.Root()
	if err == nil {
		err = os.MkdirAll(*dir, 0o755)
	}
	var atoms []string
	if err == nil {
		atoms, err = cost.Atoms(root)
	}
	var engine *classify.Engine
	if err == nil {
		engine, err = classify.New(classify.Options{})
	}
	var wide *classify.Engine
	if err == nil {
		wide, err = cost.Unbounded()
	}
	if err != nil {
		fmt.Fprintln(errs, "search:", err)
		return 2
	}
	s := &search{engine: engine, wide: wide, out: out, dir: *dir, save: *save, dearest: map[string]finding{},
		people: cost.NewPopulation(rand.New(rand.NewPCG(*seed, 0)), atoms)}
	fmt.Fprintf(out, "seed %d, %d phrases, %d places, for %v\n", *seed, len(atoms), len(cost.Places), *duration)
	s.loop(ctx, *duration, errs)
	return s.report()
}

// loop searches until the time is over, and shows its progress on a terminal.
func (s *search) loop(ctx context.Context, duration time.Duration, errs io.Writer) {
	begun := time.Now()
	bar := isTerminal(errs)
	shown := time.Time{}
	for ctx.Err() == nil && time.Since(begun) < duration {
		s.try(s.people.Next())
		if bar && time.Since(shown) > time.Second/5 {
			shown = time.Now()
			fmt.Fprintf(errs, "\r\x1b[K%3.0f %%  %d tried, most expensive %v, %d too expensive",
				100*float64(time.Since(begun))/float64(duration), s.tried, s.worst(), s.bad)
		}
	}
	if bar {
		fmt.Fprint(errs, "\r\x1b[K")
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// trial is the size at which recipes are compared: small, so that many can be.
const trial = 24 << 10

// try measures a recipe at a small size, and at the full size if it is the most expensive
// of its place so far.
func (s *search) try(r cost.Recipe) {
	s.tried++
	defer func() {
		if v := recover(); v != nil {
			s.tooDear(r, r.Message(trial), fmt.Sprintf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	c := cost.Measure(s.engine, r.Message(trial), 1)
	dear := s.people.Add(r, "time ", float64(c.Time)/float64(c.Octets))
	if c.Time > time.Millisecond/5 && s.people.Add(r, "unseen ", float64(c.Time)/float64(c.Work+1)) {
		dear = true
	}
	if s.tried%50 != 0 && !dear {
		return
	}
	raw := r.Message(cost.MaxOctets)
	full := cost.Measure(s.engine, raw, 1)
	if f, ok := s.dearest[r.Place]; !ok || full.Time > f.cost.Time {
		full = cost.Measure(s.engine, raw, 3)
		if full.Time > f.cost.Time {
			s.dearest[r.Place] = finding{r, full}
		}
	}
	if full.Time > cost.MaxTime {
		if full = cost.Measure(s.engine, raw, 7); full.Time > cost.MaxTime {
			s.tooDear(r, raw, fmt.Sprintf("%v for %d octets", full.Time.Round(time.Microsecond), len(raw)))
		}
	}
	if why := cost.Grows(s.wide, r); why != "" {
		s.tooDear(r, raw, why)
	}
}

// tooDear reports a message and saves it.
func (s *search) tooDear(r cost.Recipe, raw []byte, why string) {
	s.bad++
	path := filepath.Join(s.dir, fmt.Sprintf("dear-%d-%d.eml", os.Getpid(), s.bad))
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		path = err.Error()
	}
	fmt.Fprintf(s.out, "TOO EXPENSIVE: %s\n  %v\n  %s\n", why, r, path)
}

func (s *search) worst() (d time.Duration) {
	for _, f := range s.dearest {
		d = max(d, f.cost.Time)
	}
	return d.Round(time.Microsecond * 10)
}

// report lists the most expensive message of every place and returns the exit code.
func (s *search) report() int {
	fs := make([]finding, 0, len(s.dearest))
	for _, f := range s.dearest {
		fs = append(fs, f)
	}
	slices.SortFunc(fs, func(a, b finding) int { return int(b.cost.Time - a.cost.Time) })
	fmt.Fprintf(s.out, "%9s %9s %8s %9s  recipe\n", "ms", "work", "ns/unit", "truncated")
	for i, f := range fs {
		c := f.cost
		if s.save {
			path := filepath.Join(s.dir, fmt.Sprintf("dearest-%d.eml", i+1))
			if err := os.WriteFile(path, f.recipe.Message(cost.MaxOctets), 0o644); err != nil {
				fmt.Fprintln(s.out, "saving a message:", err)
			}
		}
		fmt.Fprintf(s.out, "%9.2f %9d %8.1f %9v  %.300v\n", float64(c.Time)/1e6, c.Work, float64(c.Time)/float64(c.Work+1), c.Truncated, f.recipe.String())
	}
	fmt.Fprintf(s.out, "%d tried, %d too expensive\n", s.tried, s.bad)
	if s.bad > 0 {
		return 1
	}
	return 0
}
