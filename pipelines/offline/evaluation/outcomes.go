package evaluation

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// outcomes is a matrix: a row for each case, a column for each figure.
type outcomes struct {
	columns int
	values  []float64
}

func newOutcomes(cases, columns int) *outcomes {
	return &outcomes{columns: columns, values: make([]float64, cases*columns)}
}

func (o *outcomes) cases() int           { return len(o.values) / o.columns }
func (o *outcomes) row(at int) []float64 { return o.values[at*o.columns : (at+1)*o.columns] }

// pick is a matrix of some columns and of some cases, or of all with nil.
func (o *outcomes) pick(cases, columns []int) *outcomes {
	if cases == nil {
		cases = make([]int, o.cases())
		for i := range cases {
			cases[i] = i
		}
	}
	p := newOutcomes(len(cases), len(columns))
	for i, c := range cases {
		row := o.row(c)
		for j, column := range columns {
			p.row(i)[j] = row[column]
		}
	}
	return p
}

// less is this matrix minus another of its size.
func (o *outcomes) less(other *outcomes) *outcomes {
	d := newOutcomes(o.cases(), o.columns)
	for i := range d.values {
		d.values[i] = o.values[i] - other.values[i]
	}
	return d
}

// means are the columns' means with their intervals: as many cases as there are are drawn with replacement, again and again, and the
// percentiles of the means taken (Efron, 1979). All matrices of as many cases meet the same draws.
func (o *outcomes) means(resamples int, seed uint64) []Metric {
	n := o.cases()
	mean := func(dst []float64, pick func(i int) int) {
		clear(dst)
		for i := range n {
			for j, v := range o.row(pick(i)) {
				dst[j] += v
			}
		}
		for j := range dst {
			dst[j] /= float64(n)
		}
	}
	of, one := make([]Metric, o.columns), make([]float64, o.columns)
	mean(one, func(i int) int { return i })
	for j, m := range one {
		of[j] = Metric{m, m, m}
	}
	if resamples == 0 {
		return of
	}
	r := rand.New(rand.NewPCG(seed, 0))
	drawn := make([][]float64, o.columns)
	for range resamples {
		mean(one, func(int) int { return r.IntN(n) })
		for j, m := range one {
			drawn[j] = append(drawn[j], m)
		}
	}
	for j := range of {
		slices.Sort(drawn[j])
		last := float64(resamples - 1)
		of[j].Low, of[j].High = drawn[j][int(.025*last+.5)], drawn[j][int(.975*last+.5)]
	}
	return of
}

// chance is how probable it is that a column of differences is as far from 0 as it is, or farther, if it were by chance
// which of the two scorers had which figure in each case: the paired randomization test (Fisher, 1935; Smucker, Allan and
// Carterette, CIKM 2007), two-sided. The outcome itself counts as one of the draws, so that it is never 0.
func (o *outcomes) chance(column, draws int, seed uint64) float64 {
	var differences []float64
	observed := 0.0
	for i := range o.cases() {
		if d := o.row(i)[column]; d != 0 {
			differences = append(differences, d)
			observed += d
		}
	}
	r := rand.New(rand.NewPCG(seed, 1))
	asFar := 1
	for range draws {
		sum := 0.0
		for i := 0; i < len(differences); i += 64 {
			signs := r.Uint64()
			for _, d := range differences[i:min(i+64, len(differences))] {
				if signs&1 == 0 {
					d = -d
				}
				sum += d
				signs = bits.RotateLeft64(signs, -1)
			}
		}
		if math.Abs(sum) >= math.Abs(observed)-1e-12 {
			asFar++
		}
	}
	return float64(asFar) / float64(draws+1)
}
