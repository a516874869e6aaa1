package ranking

import "math"

// PriceTaste is the distribution of the prices that a user looks at, in natural logarithms: people compare prices by
// ratio, 5 against 10 as 500 against 1000.
type PriceTaste struct {
	// Known is false where too little is known.
	Known bool
	// Mean and Spread (the standard deviation, never below minSpread) are of ln(price).
	Mean, Spread float64
}

// minSpread keeps a user who looked at one price only from having a range without width: about a quarter up or down.
const minSpread = 0.25

// PriceTasteOf makes a taste from the logarithms of the prices of the user's recent items. Values that are not finite are
// left out; without any, the taste is unknown.
func PriceTasteOf(logPrices []float64) PriceTaste {
	n, sum := 0, 0.0
	for _, x := range logPrices {
		if finite(x) {
			n++
			sum += x
		}
	}
	if n == 0 {
		return PriceTaste{}
	}
	mean, squares := sum/float64(n), 0.0
	for _, x := range logPrices {
		if finite(x) {
			squares += (x - mean) * (x - mean)
		}
	}
	return PriceTaste{Known: true, Mean: mean, Spread: max(minSpread, math.Sqrt(squares/float64(n)))}
}

// neutralAffinity is for items without a price: neither in the user's range nor out of it.
const neutralAffinity = 0.5

// affinity is 1 at the user's own price level and falls with the distance in spreads like a bell curve; 0 for an unknown
// taste. The second result tells whether the price lies within one spread.
func (t PriceTaste) affinity(price *float64) (float64, bool) {
	if !t.Known {
		return 0, false
	}
	if price == nil || !(*price > 0) || math.IsInf(*price, 0) {
		return neutralAffinity, false
	}
	z := (math.Log(*price) - t.Mean) / max(t.Spread, minSpread)
	if math.IsNaN(z) {
		return neutralAffinity, false
	}
	return math.Exp(-z * z / 2), math.Abs(z) <= 1
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
