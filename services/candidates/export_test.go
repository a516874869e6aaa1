package candidates

// What the tests of the language ask directly.
var (
	ExpressionOf = expressionOf
	Quote        = quote
	QuoteList    = quoteList
)
