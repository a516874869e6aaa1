// Package page writes a report of an evaluation as one HTML file for people: charts with intervals, the same figures as
// tables, and some users in full. It needs no script, font, image or other file, follows the reader's light or dark
// screen, and prints.
//
// It may import pipelines/offline/evaluation. What always holds in it:
//
//   - What a report says is text: titles, names of scorers and segments cannot become markup (html/template).
//   - No chart tells scorers apart by colour alone, and each has a title, a description, and its figures as a table.
//   - The same report gives the same page.
package page
