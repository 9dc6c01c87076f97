package work

import (
	"context"
	"testing"
)

func TestBudgetEnds(t *testing.T) {
	for _, tt := range []struct {
		units, each, times int // how often each may be taken
	}{
		{0, 1, 0},
		{1, 1, 1},
		{10, 3, 3},
		{stretch, 1, stretch},
		{3*stretch + 5, stretch / 2, 6},
		{stretch + 10, stretch + 10, 1},
		{5 * stretch, 2 * stretch, 2},
	} {
		b := New(t.Context(), tt.units)
		times := 0
		for b.Take(tt.each) {
			times++
		}
		if times != tt.times || !b.Spent() {
			t.Errorf("%d units: %d taken %d times, want %d; spent %v", tt.units, tt.each, times, tt.times, b.Spent())
		}
		if b.Take(0) || b.Take(1) {
			t.Errorf("%d units: taken from after the end", tt.units)
		}
	}
}

func TestBudgetCounts(t *testing.T) {
	b := New(t.Context(), 10*stretch)
	used := 0
	for _, n := range []int{1, stretch, 5, 3 * stretch, stretch / 2} {
		used += n
		if !b.Take(n) || b.Used() != used {
			t.Errorf("%d used after %d, want %d", b.Used(), n, used)
		}
	}
}

func TestBudgetEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := New(ctx, 1<<40)
	cancel()
	n := 0
	for b.Take(1) {
		n++
	}
	if n > stretch {
		t.Errorf("%d units taken after the context had ended", n)
	}
}
