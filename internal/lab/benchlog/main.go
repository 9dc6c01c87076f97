// Command benchlog compares bounce-milter classify with pflogsumm and with the Postfix
// script of logwatch, on one generated log of Postfix, one after the other in one run. The
// table is Markdown.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	bin := flag.String("bin", "bin/bounce-milter", "the program to measure")
	size := flag.Int64("size", 512, "size of the log, in MB of a million octets")
	share := flag.Float64("failures", 0.03, "share of the deliveries that fail")
	rounds := flag.Int("rounds", 3, "rounds of bounce-milter; the best counts, for other programs share the machine")
	others := flag.Bool("others", true, "measure the other programs too")
	keep := flag.String("log", "", "write the log here and keep it")
	flag.Parse()
	if err := compare(*bin, *keep, *size*1_000_000, *share, *rounds, *others); err != nil {
		fmt.Fprintln(os.Stderr, "benchlog:", err)
		return 1
	}
	return 0
}

// contender is a program, and how it reads the log.
type contender struct {
	name   string
	rounds int
	cmd    func(log string) *exec.Cmd
}

func compare(bin, keep string, size int64, share float64, rounds int, others bool) error {
	log := keep
	if log == "" {
		dir, err := os.MkdirTemp("", "benchlog")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		log = filepath.Join(dir, "mail.log")
	}
	n, err := write(log, size, share)
	if err != nil {
		return fmt.Errorf("generating a log: %w", err)
	}
	fmt.Printf("A log of Postfix, %d MB, %.0f %% of the deliveries fail; %d processors.\n\n", n/1_000_000, share*100, runtime.NumCPU())
	fmt.Println("| program | seconds | of a processor | MB/s | resident MB | slower by |")
	fmt.Println("|---|---|---|---|---|---|")
	list := []contender{
		{"bounce-milter classify --sum", rounds, func(log string) *exec.Cmd { return exec.Command(bin, "classify", "--sum", log) }},
		{"bounce-milter classify --format json", 1, func(log string) *exec.Cmd { return exec.Command(bin, "classify", "--format", "json", log) }},
	}
	if others {
		list = append(list,
			contender{"pflogsumm", 1, func(log string) *exec.Cmd { return exec.Command("pflogsumm", log) }},
			contender{"logwatch, its script postfix", 1, func(log string) *exec.Cmd {
				cmd := exec.Command("perl", "-I/usr/share/logwatch/lib", "/usr/share/logwatch/scripts/services/postfix",
					"-f", "/usr/share/logwatch/default.conf/services/postfix.conf", log)
				return cmd
			}})
	}
	var first time.Duration
	for i, c := range list {
		took, busy, resident, err := measure(c, log)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if i == 0 {
			first = took
		}
		fmt.Printf("| %s | %.2f | %.2f | %.0f | %d | %.1f × |\n", c.name, took.Seconds(), busy.Seconds(),
			float64(n)/1e6/took.Seconds(), resident>>20, took.Seconds()/first.Seconds())
	}
	return nil
}

func write(path string, size int64, share float64) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return generate(f, size, share)
}

// measure returns the shortest time, the processor time of that round, and the most memory
// in octets.
func measure(c contender, log string) (best, busy time.Duration, resident int64, err error) {
	for range c.rounds {
		cmd := c.cmd(log)
		out, err := os.CreateTemp("", "benchlog")
		if err != nil {
			return 0, 0, 0, err
		}
		os.Remove(out.Name())
		w := bufio.NewWriter(os.Stderr)
		cmd.Stdout, cmd.Stderr = out, w
		start := time.Now()
		err = cmd.Run()
		took := time.Since(start)
		out.Close()
		w.Flush()
		if err != nil {
			return 0, 0, 0, err
		}
		if best == 0 || took < best {
			best, busy = took, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
		}
		if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			resident = max(resident, use.Maxrss<<10)
		}
	}
	return best, busy, resident, nil
}
