package tables

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// column reads one column of times, in the form that is found or told.
func column(t *testing.T, field string, options Options, values ...string) ([]time.Time, *Binding, error) {
	t.Helper()
	var times []time.Time
	files := map[string]string{"interactions.csv": "user_id,item_id,occurred_at\nu,i,2026-01-31T12:00:00Z\n"}
	table := "item_id," + field + "\n"
	if field == "occurred_at" {
		table = "user_id,item_id,occurred_at\n"
	}
	for i, v := range values {
		if field == "occurred_at" {
			table += fmt.Sprintf("u%d,i,\"%s\"\n", i, v)
		} else {
			table += fmt.Sprintf("i%s,\"%s\"\n", strings.Repeat("x", i), v)
		}
	}
	if field == "occurred_at" {
		files["interactions.csv"] = table
	} else {
		files["items.csv"] = table
	}
	f, err := Open(folder(t, files), options, schemas.DefaultLimits())
	require.NoError(t, err)
	binding, err := f.Survey(t.Context())
	if err != nil {
		return nil, nil, err
	}
	err = f.EachItem(t.Context(), func(i *schemas.ItemChange) error {
		times = append(times, i.PublishedAt)
		return nil
	})
	if field == "occurred_at" {
		times = nil
		err = f.EachInteraction(t.Context(), func(e *schemas.Interaction, _ int64) error {
			times = append(times, e.OccurredAt)
			return nil
		})
	}
	return times, binding, err
}

// TestTimesAsOthersWriteThem has the values of the newest pandas, polars, DuckDB, BigQuery, Spark, Excel, H&M, REES46, MovieLens, MIND.
func TestTimesAsOthersWriteThem(t *testing.T) {
	noonMS := at(noon)
	for name, c := range map[string]struct {
		value string
		told  string // --times
		zone  string
		want  time.Time
		how   string
	}{
		"Spark":                    {"2026-01-31T12:00:00.805Z", "", "", at(noon + 805), "times with a zone"},
		"pandas with a zone":       {"2026-01-31 12:00:00.805+00:00", "", "", at(noon + 805), "times with a zone"},
		"pandas without":           {"2026-01-31 12:00:00.805", "", "", at(noon + 805), "times without a zone, in UTC"},
		"pandas in ns":             {"2026-01-31 12:00:00.805123456", "", "", at(noon + 805), "times without a zone, in UTC"},
		"polars":                   {"2026-01-31T12:00:00.805000", "", "", at(noon + 805), "times without a zone, in UTC"},
		"polars with a zone":       {"2026-01-31T13:00:00.000000+0100", "", "", noonMS, "times with a zone"},
		"DuckDB and Postgres":      {"2026-01-31 13:00:00+01", "", "", noonMS, "times with a zone"},
		"BigQuery, REES46":         {"2026-01-31 12:00:00 UTC", "", "", noonMS, "times with a zone"},
		"BigQuery's fraction":      {"2026-01-31 12:00:00.5 UTC", "", "", at(noon + 500), "times with a zone"},
		"Snowflake":                {"2026-01-31 04:00:00.000 -0800", "", "", noonMS, "times with a zone"},
		"Go":                       {"2026-01-31 12:00:00 +0000 UTC", "", "", noonMS, "times with a zone"},
		"Java":                     {"2026-01-31T13:00+01:00[Europe/Berlin]", "", "", noonMS, "times with a zone"},
		"HTTP":                     {"Sat, 31 Jan 2026 12:00:00 GMT", "", "", noonMS, "times with a zone"},
		"west":                     {"2026-01-31T06:30:00-05:30", "", "", noonMS, "times with a zone"},
		"basic ISO":                {"20260131T120000Z", "", "", noonMS, "times with a zone"},
		"basic ISO, with a zone":   {"20260131T130000.805+0100", "", "", at(noon + 805), "times with a zone"},
		"basic ISO, minutes":       {"20260131T1200", "", "", noonMS, "times without a zone, in UTC"},
		"GA4's days":               {"20260131 12:00:00", "", "", noonMS, "times without a zone, in UTC"},
		"slashes":                  {"2026/01/31 12:00:00", "", "", noonMS, "times without a zone, in UTC"},
		"in a zone that is told":   {"2026-01-31 13:00:00", "", "Europe/Berlin", noonMS, "times without a zone, in Europe/Berlin"},
		"in summer time":           {"2025-07-31 14:00:00", "", "Europe/Berlin", time.Date(2025, 7, 31, 12, 0, 0, 0, time.UTC), "times without a zone, in Europe/Berlin"},
		"H&M's dates":              {"2018-09-20", "", "", time.Date(2018, 9, 20, 0, 0, 0, 0, time.UTC), "dates, each its midnight, in UTC"},
		"dates in a zone":          {"2018-09-20", "", "Asia/Tokyo", time.Date(2018, 9, 19, 15, 0, 0, 0, time.UTC), "dates, each its midnight, in Asia/Tokyo"},
		"dates as numbers":         {"20180920", "", "", time.Date(2018, 9, 20, 0, 0, 0, 0, time.UTC), "dates as numbers, each its midnight, in UTC"},
		"MIND, Excel in America":   {"11/13/2019 8:36:57 AM", "", "", time.Date(2019, 11, 13, 8, 36, 57, 0, time.UTC), "month before day, without a zone, in UTC"},
		"midnight in America":      {"11/13/2019 12:00:00 AM", "", "", time.Date(2019, 11, 13, 0, 0, 0, 0, time.UTC), "month before day, without a zone, in UTC"},
		"Excel in Europe":          {"31.01.2026 12:00", "", "", noonMS, "day before month, without a zone, in UTC"},
		"Excel in Britain":         {"31/01/2026 12:00:00", "", "", noonMS, "day before month, without a zone, in UTC"},
		"told day first":           {"02/01/2026", "dmy", "", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), "day before month, without a zone (told), in UTC"},
		"told month first":         {"02/01/2026", "mdy", "", time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), "month before day, without a zone (told), in UTC"},
		"MovieLens, RecBole":       {"1769860800", "", "", noonMS, "seconds since 1970"},
		"time.time()":              {"1769860800.5", "", "", at(noon + 500), "seconds since 1970"},
		"milliseconds":             {"1769860800000", "", "", noonMS, "milliseconds since 1970"},
		"through a float":          {"1769860800000.0", "", "", noonMS, "milliseconds since 1970"},
		"scientific":               {"1.7698608e12", "", "", noonMS, "milliseconds since 1970"},
		"microseconds":             {"1769860800000999", "", "", noonMS, "microseconds since 1970"},
		"nanoseconds":              {"1769860800000999999", "", "", noonMS, "nanoseconds since 1970"},
		"nanoseconds, float":       {"1.7698608e+18", "", "", noonMS, "nanoseconds since 1970"},
		"Excel's days":             {"46053.5", "", "", noonMS, "days as Excel counts them, in UTC"},
		"a clock that begins at 0": {"86400", "s since 2026-01-30", "", time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), "seconds since 1970 (told)"},
	} {
		t.Run(name, func(t *testing.T) {
			options := Options{Zone: c.zone}
			if c.told != "" {
				options.Times = ForFields{"occurred_at": c.told}
			}
			got, binding, err := column(t, "occurred_at", options, c.value)
			require.NoError(t, err)
			require.Equal(t, []time.Time{c.want}, got)
			require.Contains(t, binding.Tables[0].Fields, FieldBinding{Field: "occurred_at", Column: "occurred_at", How: c.how})
		})
	}
}

func TestAColumnHasOneForm(t *testing.T) {
	for name, c := range map[string]struct {
		field  string
		values []string
		want   string
	}{
		"seconds among ms":      {"occurred_at", []string{"1769860800000", "1769860800"}, `interactions.csv:3: column occurred_at is "1769860800": and "1769860800000" at interactions.csv:2, which is of another form`},
		"zones here and there":  {"occurred_at", []string{"2026-01-31 12:00:00", "2026-01-31 12:00:00Z"}, "of another form: give one column one form"},
		"a word":                {"occurred_at", []string{"2026-01-31 12:00:00", "soon"}, `interactions.csv:3: column occurred_at is "soon": give a number since 1970`},
		"no day":                {"occurred_at", []string{"2026-02-30"}, `is "2026-02-30": give a number since 1970`},
		"day and month unclear": {"occurred_at", []string{"01/02/2026", "03/04/2026"}, "no value tells day from month, \"01/02/2026\" for example: tell it with --times occurred_at=dmy or --times occurred_at=mdy"},
		"zero":                  {"occurred_at", []string{"1769860800000", "0"}, `interactions.csv:3: column occurred_at is "0": give the time when it happened`},
		"1970 in text":          {"occurred_at", []string{"1970-01-21 12:00:00"}, "interactions.csv:2: column occurred_at is 1771200000 (1970-01-21T12:00:00.000Z)"},
		"a count of days":       {"occurred_at", []string{"17"}, "by no unit is this a time from 1980 to 2100: tell the form with --times occurred_at=FORM"},
		"published, in no unit": {"published_at", []string{"17"}, "by no unit are its numbers times from 1980 to 2100"},
		"published, a word":     {"published_at", []string{"soon"}, `column published_at is "soon": give a number since 1970`},
		"not the form told":     {"occurred_at", []string{"x"}, `is "x": give a number since 1970`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := column(t, c.field, Options{}, c.values...)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, _, err := column(t, "occurred_at", Options{Times: ForFields{"occurred_at": "ms"}}, "2026-01-31")
	require.ErrorContains(t, err, `is "2026-01-31": it is not in the form that --times tells`)
	_, _, err = column(t, "occurred_at", Options{Times: ForFields{"occurred_at": "s"}}, "1769860800", "5000")
	require.ErrorContains(t, err, "interactions.csv:3: column occurred_at is 5000000 (1970-01-01T01:23:20.000Z)", "1970 is an error in a unit that is told, too")
}

func TestPublicationsAreOld(t *testing.T) {
	for name, c := range map[string]struct {
		values []string
		want   []time.Time
	}{
		"ms, long ago and now": {[]string{"-2125008000000", "1769860800000"}, []time.Time{time.Date(1902, 8, 31, 0, 0, 0, 0, time.UTC), at(noon)}},
		"s, long ago and now":  {[]string{"-2125008000", "1769860800"}, []time.Time{time.Date(1902, 8, 31, 0, 0, 0, 0, time.UTC), at(noon)}},
		"films of 1970":        {[]string{"1970-05-01", "2020-01-01"}, []time.Time{time.Date(1970, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}},
		"none":                 {[]string{"NaT", "2020-01-01", ""}, []time.Time{{}, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), {}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := column(t, "published_at", Options{}, c.values...)
			if len(c.want) > 0 && err != nil {
				require.ErrorContains(t, err, "none of the")
			}
			require.Equal(t, c.want, got)
		})
	}
}

// TestWrittenTimesAgainstTime reads what package time writes in many layouts and zones.
func TestWrittenTimesAgainstTime(t *testing.T) {
	layouts := []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05.999999999-0700", "2006-01-02T15:04:05.000-07", "2006-01-02 15:04:05 -07:00", time.RFC1123Z,
	}
	start := time.Date(1931, 3, 1, 5, 6, 7, 890_000_000, time.UTC)
	for i := range 4000 {
		when := start.Add(time.Duration(i) * 211 * time.Hour).In(time.FixedZone("", (i%25-12)*3600))
		layout := layouts[i%len(layouts)]
		text := when.Format(layout)
		want, err := time.Parse(layout, text)
		require.NoError(t, err)
		w, ok := parseWritten([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, zoned, w.forms, text)
		require.Equal(t, want.UnixMilli(), new(clock).ofWritten(&w, zoned), text)
	}
}
