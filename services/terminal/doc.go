// Package terminal prints what others wrote. Ids, titles, reasons, headers and error texts come from producers, and a terminal obeys
// some of their characters: "\x1b[2J" clears the screen, a carriage return overwrites a line, U+202E turns the reading direction
// round, a line break makes a line of its own that nobody here wrote.
//
// What always holds: a character of a value that is not printable reaches the output as Go would quote it, in tables, in lines and
// in JSON (there as a JSON escape, so that JSON stays JSON); printable text of any script is left alone. Formats and headings are
// ours, and may hold line breaks; so may a Block. A test of the house holds that pipelines and the tree of traces print by this package.
//
// It imports nothing of the project.
package terminal
