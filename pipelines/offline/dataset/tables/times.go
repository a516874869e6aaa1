package tables

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// timeForm is a set of ways in which a moment is written. One value may be read in several of them; a column has one.
type timeForm uint16

const (
	stamped    timeForm = 1 << iota // a type of its own, as Parquet and Avro have it
	zoned                           // 2026-01-31 12:00:00+01:00
	local                           // 2026-01-31T12:00:00, without zone
	dated                           // 2026-01-31
	dayFirst                        // 31/1/2026 12:00, 31.01.2026
	monthFirst                      // 1/31/2026 12:00 PM
	seconds                         // since 1970, as the next three
	millis
	micros
	nanos
	excelDays // since 30 December 1899, with the time as a fraction
	compact   // 20260131, as a number
	years     // 2026, which is told: such a number is also a day of Excel, or a second of 1970
)

const (
	writtenForms = zoned | local | dated | dayFirst | monthFirst
	numberForms  = seconds | millis | micros | nanos | excelDays | compact | years
	foundForms   = numberForms &^ years
)

// formNames are what --times calls the forms that can be told.
var formNames = map[string]timeForm{
	"s": seconds, "ms": millis, "us": micros, "ns": nanos, "excel": excelDays, "yyyymmdd": compact, "yyyy": years,
	"dmy": dayFirst, "mdy": monthFirst,
	"iso": zoned | local | dated,
}

// String says for people what a column holds.
func (f timeForm) String() string {
	switch f {
	case stamped:
		return "timestamps"
	case zoned:
		return "times with a zone"
	case local:
		return "times without a zone"
	case dated, dated | local:
		return "dates, each its midnight"
	case dayFirst:
		return "day before month, without a zone"
	case monthFirst:
		return "month before day, without a zone"
	case seconds:
		return "seconds since 1970"
	case millis:
		return "milliseconds since 1970"
	case micros:
		return "microseconds since 1970"
	case nanos:
		return "nanoseconds since 1970"
	case years:
		return "years, each its beginning"
	case excelDays:
		return "days as Excel counts them"
	case compact:
		return "dates as numbers, each its midnight"
	}
	return "times in several forms"
}

// needsZone tells forms that name no zone.
func (f timeForm) needsZone() bool {
	return f&(local|dated|dayFirst|monthFirst|excelDays|compact|years) != 0
}

// clock is how a column's moments are read.
type clock struct {
	form timeForm
	// zone is where clocks stood that say none; nil is UTC.
	zone *time.Location
	// origin is from when on numbers count, in ms since 1970.
	origin int64
	// wall says that timestamps are a wall clock's in the zone, which were read as if it were UTC.
	wall bool
}

// parseClock takes what --times says: a form, or a unit and its origin, "s since 2017-01-01".
func parseClock(text string) (clock, error) {
	name, since, told := strings.Cut(strings.TrimSpace(text), " since ")
	form, known := formNames[name]
	if !known {
		return clock{}, fmt.Errorf("%q is no form of times: give s, ms, us, ns, excel, yyyymmdd, yyyy, dmy, mdy or iso", name)
	}
	c := clock{form: form}
	if told {
		origin, err := time.Parse(time.DateOnly, since)
		if err != nil || form&(seconds|millis|micros|nanos) == 0 {
			return clock{}, fmt.Errorf("%q: give a unit and a date, such as s since 2017-01-01", text)
		}
		c.origin = origin.UnixMilli()
	}
	return c, nil
}

const msADay = 24 * 60 * 60 * 1000

// perMilli is how many of a form's units make a millisecond.
func perMilli(form timeForm) float64 {
	switch form {
	case seconds:
		return 1e-3
	case micros:
		return 1e3
	case nanos:
		return 1e6
	default:
		return 1
	}
}

// excelEpoch is the day 0 of Excel's count, which has a day too many in 1900, in ms since 1970.
var excelEpoch = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).UnixMilli()

// ofNumber reads a number in one of numberForms; whole holds it exactly, where isWhole.
func (c *clock) ofNumber(form timeForm, f float64, whole int64, isWhole bool) (ms int64, ok bool) {
	switch form {
	case compact:
		if !isWhole || whole < 1_00_00 || whole > 9999_12_31 {
			return 0, false
		}
		y, m, d := int(whole/10000), time.Month(whole/100%100), int(whole%100)
		t := time.Date(y, m, d, 0, 0, 0, 0, c.location())
		return t.UnixMilli(), t.Month() == m && t.Day() == d
	case years:
		return time.Date(int(whole), 1, 1, 0, 0, 0, 0, c.location()).UnixMilli(), isWhole && whole >= 1 && whole <= 9999
	case excelDays:
		ms := math.Round(f * msADay)
		if math.Abs(ms) > 1<<50 {
			return 0, false
		}
		wall := time.UnixMilli(excelEpoch + int64(ms)).UTC()
		return c.settled(wall).UnixMilli(), true
	}
	if isWhole {
		switch form {
		case seconds:
			if whole > maxInt64/1000 || whole < -maxInt64/1000 {
				return 0, false
			}
			return c.origin + whole*1000, true
		case micros:
			return c.origin + time.UnixMicro(whole).UnixMilli(), true
		case nanos:
			return c.origin + time.Unix(0, whole).UnixMilli(), true
		default:
			return c.origin + whole, true
		}
	}
	exact := math.Floor(f / perMilli(form))
	if form == seconds {
		exact = math.Floor(f * 1000)
	}
	if !(math.Abs(exact) < 1<<60) {
		return 0, false
	}
	return c.origin + int64(exact), true
}

func (c *clock) location() *time.Location {
	if c.zone == nil {
		return time.UTC
	}
	return c.zone
}

// settled is the moment at which clocks of the zone showed this.
func (c *clock) settled(wall time.Time) time.Time {
	if c.zone == nil {
		return wall
	}
	y, m, d := wall.Date()
	return time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), c.zone)
}

// numberIn gives the number that a value is or writes.
func numberIn(v *columnar.Value) (f float64, whole int64, isWhole, ok bool) {
	switch v.Kind {
	case columnar.Int:
		return float64(v.Int), v.Int, true, true
	case columnar.Float:
		return v.Float, int64(v.Float), isWholeFloat(v.Float), !math.IsNaN(v.Float) && !math.IsInf(v.Float, 0)
	case columnar.Text, columnar.Decimal:
		text := string(bytes.TrimSpace(v.Text))
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return float64(n), n, true, true
		}
		if strings.Trim(text, "0123456789+-.eE") != "" { // no hexadecimal, no infinity
			return 0, 0, false, false
		}
		f, err := strconv.ParseFloat(text, 64)
		return f, int64(f), isWholeFloat(f), err == nil
	}
	return 0, 0, false, false
}

// isWholeFloat tells numbers that hold a whole one exactly.
func isWholeFloat(f float64) bool { return f == math.Trunc(f) && math.Abs(f) < 1<<53 }

// moment reads a value that is there in the clock's form.
func (c *clock) moment(v *columnar.Value) (ms int64, ok bool) {
	switch {
	case v.Kind == columnar.Time:
		ms := v.Int
		if c.wall {
			ms = c.settled(time.UnixMilli(ms).UTC()).UnixMilli()
		}
		return ms, c.form&stamped != 0 || c.form&(zoned|local|dated) != 0
	case c.form&numberForms != 0:
		f, whole, isWhole, ok := numberIn(v)
		if !ok {
			return 0, false
		}
		return c.ofNumber(c.form, f, whole, isWhole)
	case v.Kind == columnar.Text:
		w, ok := parseWritten(bytes.TrimSpace(v.Text))
		if !ok || w.forms&c.form == 0 {
			return 0, false
		}
		return c.ofWritten(&w, c.form), true
	}
	return 0, false
}

// written is a moment as people and databases write it.
type written struct {
	forms                     timeForm
	year, first, second       int // first and second are month and day, but in dayFirst
	hour, minute, sec, nanosc int
	offset                    int // seconds east of UTC, of zoned
}

func (c *clock) ofWritten(w *written, form timeForm) int64 {
	month, day := w.first, w.second
	if form&dayFirst != 0 {
		month, day = day, month
	}
	wall := time.Date(w.year, time.Month(month), day, w.hour, w.minute, w.sec, w.nanosc, time.UTC)
	if w.forms == zoned {
		return wall.UnixMilli() - int64(w.offset)*1000
	}
	return c.settled(wall).UnixMilli()
}

// parseWritten finds all forms in which a text is a moment.
func parseWritten(text []byte) (w written, ok bool) {
	p := parser{rest: text}
	if len(text) > 4 && text[3] == ',' {
		return parseHTTP(string(text))
	}
	if !p.date(&w) {
		return w, false
	}
	if len(p.rest) == 0 {
		if w.forms == local {
			w.forms = local | dated
		}
		return w, true
	}
	if !p.time(&w) {
		return w, false
	}
	if w.forms == local && p.zone(&w) {
		w.forms = zoned
	}
	return w, len(p.rest) == 0
}

// parseHTTP takes Fri, 02 Jan 2026 03:04:05 GMT, or +0100 in its place. Other zones by letters have several meanings.
func parseHTTP(text string) (written, bool) {
	text = strings.Replace(text, " GMT", " +0000", 1)
	t, err := time.Parse(time.RFC1123Z, text)
	return writtenOf(t), err == nil
}

func writtenOf(t time.Time) written {
	t = t.UTC()
	return written{forms: zoned, year: t.Year(), first: int(t.Month()), second: t.Day(), hour: t.Hour(), minute: t.Minute(), sec: t.Second()}
}

func isDate(year, month, day int) bool {
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 && t.Day() == day
}

// parser takes a text apart from its beginning.
type parser struct{ rest []byte }

func (p *parser) number() (n, digits int) {
	for len(p.rest) > 0 && p.rest[0] >= '0' && p.rest[0] <= '9' && digits < 9 {
		n = 10*n + int(p.rest[0]-'0')
		p.rest = p.rest[1:]
		digits++
	}
	return n, digits
}

// one takes one of the characters, and gives 0 where none of them comes.
func (p *parser) one(of string) byte {
	if len(p.rest) == 0 || strings.IndexByte(of, p.rest[0]) < 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

// date takes 2026-01-31, 2026/1/31, 31.1.2026, 1/31/2026, in as many forms as there are, and 20260131 where a time comes behind it.
func (p *parser) date(w *written) bool {
	a, digits := p.number()
	if digits == 8 && len(p.rest) > 0 && strings.IndexByte("Tt ", p.rest[0]) >= 0 {
		w.year, w.first, w.second = a/10000, a/100%100, a%100
		if isDate(w.year, w.first, w.second) {
			w.forms = local
		}
		return w.forms != 0
	}
	separator := p.one("-/.")
	b, bDigits := p.number()
	if separator == 0 || p.one(string(separator)) == 0 || bDigits == 0 || bDigits > 2 {
		return false
	}
	c, cDigits := p.number()
	switch {
	case digits == 4 && (cDigits == 1 || cDigits == 2) && separator != '.':
		w.year, w.first, w.second = a, b, c
		if isDate(a, b, c) {
			w.forms = local
		}
	case (digits == 1 || digits == 2) && cDigits == 4:
		w.year, w.first, w.second = c, a, b
		if isDate(c, b, a) {
			w.forms |= dayFirst
		}
		if separator != '.' && isDate(c, a, b) {
			w.forms |= monthFirst
		}
	}
	return w.forms != 0
}

// time takes [T ]12:14[:56[.805]][ PM], or T1214[56[.805]].
func (p *parser) time(w *written) bool {
	if p.one("Tt ") == 0 {
		return false
	}
	for p.one(" ") != 0 {
	}
	if !p.clockFace(w) {
		return false
	}
	if rest := strings.ToUpper(strings.TrimSpace(string(p.rest))); rest == "AM" || rest == "PM" {
		if w.hour < 1 || w.hour > 12 {
			return false
		}
		w.hour %= 12
		if rest == "PM" {
			w.hour += 12
		}
		p.rest = nil
	}
	return w.hour < 24 && w.minute < 60 && w.sec < 61
}

// clockFace takes 12:14[:56[.805]] or 1214[56[.805]].
func (p *parser) clockFace(w *written) bool {
	n, digits := p.number()
	inSeconds := digits == 6
	switch digits {
	case 4:
		w.hour, w.minute = n/100, n%100
	case 6:
		w.hour, w.minute, w.sec = n/10000, n/100%100, n%100
	case 1, 2:
		w.hour = n
		if p.one(":") == 0 {
			return false
		}
		if w.minute, digits = p.number(); digits != 2 {
			return false
		}
		if inSeconds = p.one(":") != 0; inSeconds {
			if w.sec, digits = p.number(); digits != 2 {
				return false
			}
		}
	default:
		return false
	}
	if !inSeconds || p.one(".,") == 0 {
		return true
	}
	if n, digits = p.number(); digits == 0 {
		return false
	}
	for range 9 - digits {
		n *= 10
	}
	w.nanosc = n
	for p.one("0123456789") != 0 { // finer than nanoseconds
	}
	return true
}

// zone takes Z, UTC, +01, +0100, +01:00, or +0000 UTC, and the name of a region in brackets behind it.
func (p *parser) zone(w *written) bool {
	for p.one(" ") != 0 {
	}
	if i := bytes.IndexByte(p.rest, '['); i > 0 && p.rest[len(p.rest)-1] == ']' {
		p.rest = p.rest[:i]
	}
	switch strings.ToUpper(string(p.rest)) {
	case "Z", "UTC", "GMT":
		p.rest = nil
		return true
	}
	sign := p.one("+-")
	if sign == 0 {
		return false
	}
	hours, digits := p.number()
	minutes := 0
	switch {
	case digits == 4:
		hours, minutes = hours/100, hours%100
	case digits == 2 && p.one(":") != 0:
		if minutes, digits = p.number(); digits != 2 {
			return false
		}
	case digits != 2:
		return false
	}
	if hours > 18 || minutes > 59 {
		return false
	}
	w.offset = hours*3600 + minutes*60
	if sign == '-' {
		w.offset = -w.offset
	}
	if strings.EqualFold(string(p.rest), " UTC") {
		p.rest = nil
	}
	return true
}

// timeSurvey narrows down the form of a column, value by value.
type timeSurvey struct {
	field string
	// old: moments long ago are likely, as of a publication.
	old   bool
	forms timeForm
	clock clock
	n     int64
	// first is the first value, and where it stood.
	first, firstPlace string
	// recent are the number forms by which some value lies in recentTimes; a column of numbers that has none is in no unit.
	recent timeForm
	// all1970 holds as long as each moment lies in that year.
	all1970 bool
}

// The times that are likely: from 1980 to 2100, in ms since 1970; of publications the years 1 to 2200.
var (
	recentFrom = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	recentTo   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	oldFrom    = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	oldTo      = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// see narrows the forms by a value that is there.
func (s *timeSurvey) see(v *columnar.Value, shown string, place func() string) error {
	forms, in1970 := s.formsOf(v)
	if s.n == 0 {
		s.forms, s.first, s.firstPlace, s.all1970 = forms, shown, place(), true
	}
	s.n++
	s.all1970 = s.all1970 && in1970
	if forms == 0 {
		if f, _, _, isNumber := numberIn(v); isNumber && f == 0 {
			return &badCell{shown, "give the time when it happened"}
		} else if isNumber {
			return &badCell{shown, "by no unit is this a time from 1980 to 2100: " + tellForm(s.field)}
		}
		return &badCell{shown, momentRemedy}
	}
	if s.forms&forms == 0 {
		return &badCell{shown, fmt.Sprintf("and %s at %s, which is of another form: give one column one form", s.first, s.firstPlace)}
	}
	s.forms &= forms
	return nil
}

func tellForm(field string) string {
	return fmt.Sprintf("tell the form with --times %s=FORM, FORM being one of s, ms, us, ns, excel, yyyymmdd, yyyy", field)
}

// formsOf is all that a value can be.
func (s *timeSurvey) formsOf(v *columnar.Value) (forms timeForm, in1970 bool) {
	if v.Kind == columnar.Time {
		return stamped, time.UnixMilli(v.Int).UTC().Year() == 1970
	}
	if f, whole, isWhole, ok := numberIn(v); ok {
		from, to := recentFrom, recentTo
		if s.old {
			from, to = oldFrom, oldTo
		}
		for rest := foundForms; rest != 0; rest &= rest - 1 {
			form := timeForm(1) << bits.TrailingZeros16(uint16(rest))
			ms, ok := s.clock.ofNumber(form, f, whole, isWhole)
			if !ok || ms < from || ms > to {
				continue
			}
			forms |= form
			if ms >= recentFrom && ms <= recentTo {
				s.recent |= form
			}
		}
		return forms, false
	}
	if v.Kind == columnar.Text {
		if w, ok := parseWritten(bytes.TrimSpace(v.Text)); ok {
			return w.forms, false
		}
	}
	return 0, false
}

// settle gives the column's clock.
func (s *timeSurvey) settle(field string) (clock, error) {
	c := s.clock
	forms := s.forms
	if s.n == 0 {
		return c, nil
	}
	if forms&numberForms != 0 {
		forms &= s.recent
	}
	switch {
	case s.all1970 && forms == stamped:
		return c, fmt.Errorf("each of its %d times lies in the year 1970, as %s: the column was written in another unit than its type says; "+
			"write it anew", s.n, s.first)
	case forms == 0:
		return c, fmt.Errorf("by no unit are its numbers times from 1980 to 2100, %s for example: %s", s.first, tellForm(field))
	case forms == dayFirst|monthFirst:
		return c, fmt.Errorf("no value tells day from month, %s for example: tell it with --times %s=dmy or --times %s=mdy",
			s.first, field, field)
	case forms&dated != 0:
		forms = dated | local
	case bits.OnesCount16(uint16(forms)) > 1:
		return c, fmt.Errorf("%s can be read in several ways: tell the form with --times %s=FORM", s.first, field)
	}
	c.form = forms
	return c, nil
}
