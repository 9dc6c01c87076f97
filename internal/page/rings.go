package page

import (
	"slices"
)

// How much is kept: by the minute for a day and for the hour before it, which is what this
// hour is compared with; by the hour for a week.
const (
	keptMinutes = 25*60 + 4
	keptHours   = 7*24 + 1

	// What one minute and one hour hold at most. There is more only if strangers make it
	// up: then bounces that differ in provider or reason are counted together.
	maxMinuteCells = 160
	maxHourCells   = 512
	maxOpenCells   = 1024
)

// cell counts what has one key.
type cell struct {
	key key
	n   uint32
}

// slot is what was counted in one minute or hour.
type slot struct {
	at    int64 // minutes or hours of the Board's clock
	cells []cell
}

// rings hold what was counted. They take memory only for minutes in which there was
// something to count.
type rings struct {
	minutes, hours [][]cell // of the minutes and hours that are over, by at modulo length
	minutesAt      []int64
	hoursAt        []int64

	minute           int64 // the current one
	inMinute, inHour map[key]uint32
}

func newRings() rings {
	return rings{minutes: make([][]cell, keptMinutes), minutesAt: make([]int64, keptMinutes),
		hours: make([][]cell, keptHours), hoursAt: make([]int64, keptHours),
		inMinute: map[key]uint32{}, inHour: map[key]uint32{}}
}

// turn makes a minute the current one. Time never runs back on the Board's clock.
func (r *rings) turn(minute int64) {
	if minute <= r.minute {
		return
	}
	r.put(r.minutes, r.minutesAt, slot{r.minute, compact(r.inMinute, maxMinuteCells)})
	clear(r.inMinute)
	if minute/60 > r.minute/60 {
		r.put(r.hours, r.hoursAt, slot{r.minute / 60, compact(r.inHour, maxHourCells)})
		clear(r.inHour)
	}
	r.minute = minute
}

// put keeps what was counted in a minute or an hour that is over.
func (r *rings) put(ring [][]cell, at []int64, s slot) {
	i := s.at % int64(len(ring))
	ring[i], at[i] = s.cells, s.at
}

// add counts n more of a key now.
func (r *rings) add(k key, n uint64) {
	for _, m := range []map[key]uint32{r.inMinute, r.inHour} {
		k := k
		for i := 0; i < len(coarser) && len(m) >= maxOpenCells; i++ {
			if _, ok := m[k]; ok {
				break
			}
			k = coarser[i](k)
		}
		m[k] = sum(m[k], n)
	}
}

// sum adds and stops at the highest number.
func sum(a uint32, b uint64) uint32 { return uint32(min(uint64(a)+b, 1<<32-1)) }

// compact returns the cells of a map, the same number of bounces in fewer if there are more
// than limit.
func compact(m map[key]uint32, limit int) []cell {
	if len(m) == 0 {
		return nil
	}
	for _, f := range coarser {
		if len(m) <= limit {
			break
		}
		less := make(map[key]uint32, limit)
		for k, n := range m {
			k = f(k)
			less[k] = sum(less[k], uint64(n))
		}
		m = less
	}
	cells := make([]cell, 0, len(m))
	for k, n := range m {
		cells = append(cells, cell{k, n})
	}
	slices.SortFunc(cells, func(a, b cell) int { return int(int64(a.key) - int64(b.key)) })
	return cells
}

// minutesOf calls f with all that was counted from one minute to another, both included.
func (r *rings) minutesOf(from, to int64, f func(at int64, k key, n uint32)) {
	for at := max(from, r.minute-keptMinutes+1); at <= min(to, r.minute-1); at++ {
		if i := at % keptMinutes; r.minutesAt[i] == at {
			for _, c := range r.minutes[i] {
				f(at, c.key, c.n)
			}
		}
	}
	if from <= r.minute && r.minute <= to {
		for k, n := range r.inMinute {
			f(r.minute, k, n)
		}
	}
}

// hoursOf does so with hours.
func (r *rings) hoursOf(from, to int64, f func(at int64, k key, n uint32)) {
	hour := r.minute / 60
	for at := max(from, hour-keptHours+1); at <= min(to, hour-1); at++ {
		if i := at % keptHours; r.hoursAt[i] == at {
			for _, c := range r.hours[i] {
				f(at, c.key, c.n)
			}
		}
	}
	if from <= hour && hour <= to {
		for k, n := range r.inHour {
			f(hour, k, n)
		}
	}
}
