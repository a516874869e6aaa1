package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/tables"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// tableFlags say how tables are written whose columns, values, times and lists are not as Freshet's.
type tableFlags struct {
	Mapping string           `type:"existingfile" placeholder:"FILE" help:"Tables: a mapping file (YAML) that says which files of the folder hold what; docs/data.md shows one."`
	Columns tables.Columns   `mapsep:"," placeholder:"FIELD=COLUMN,…" help:"Tables: columns that are not called as the fields are, such as user_id=visitor,item_id=sku,items.title=name; FIELD= leaves a field out."`
	Map     tables.Values    `mapsep:"none" placeholder:"FIELD.VALUE=MEANING" help:"Tables: what a value means, such as type.addtocart=add_to_cart; with nothing behind the =, rows of the value are left out where the field needs one. May be given again."`
	Times   tables.ForFields `mapsep:"," placeholder:"FIELD=FORM,…" help:"Tables: how times are written where their column does not tell: s, ms, us, ns, excel, yyyymmdd, dmy, mdy, iso, or 's since 2017-01-01'."`
	Lists   tables.ForFields `mapsep:"none" placeholder:"FIELD=FORM" help:"Tables: how lists are written in text: json, python, duckdb, postgres, or what stands between elements; | by default. May be given again."`
	Zone    string           `placeholder:"ZONE" help:"Tables: where clocks stood that name no zone, such as Europe/Berlin; UTC by default."`
}

// ownFormats are those that package dataset reads itself.
var ownFormats = []string{"auto", dataset.MovieLensFormat, dataset.TablesFormat, "gsasrec", "s3rec", "sessions", "random"}

// formatNames are what --format knows.
func formatNames() string { return strings.Join(slices.Concat(ownFormats, tables.Formats()), ",") }

// tableFormatNames are those that can be converted and published.
func tableFormatNames() string {
	return strings.Join(slices.Concat([]string{"auto", dataset.MovieLensFormat, dataset.TablesFormat}, tables.Formats()), ",")
}

// Variables are what the commands' help texts and choices stand for.
func Variables() kong.Vars {
	return kong.Vars{"formats": formatNames(), "table_formats": tableFormatNames()}
}

// isTables tells the formats that package tables reads.
func isTables(format string) bool {
	return format == dataset.TablesFormat || slices.Contains(tables.Formats(), format)
}

// formatOf is the format that was named, or the one that the files of the folder tell.
func (f *tableFlags) formatOf(dir, named string) (string, error) {
	switch {
	case f.Mapping != "" && named != "auto" && named != dataset.TablesFormat:
		return "", usage("--mapping says how the tables of the folder are written: leave --format %s out", named)
	case f.Mapping != "":
		return dataset.TablesFormat, nil
	case named != "auto":
		return named, nil
	}
	found, err := dataset.DetectFormat(dir)
	switch {
	case err == nil && tables.Holds(dir):
		return "", fmt.Errorf("telling the format of %s: it has tables called interactions and the files of the format %s: "+
			"name one with --format", dir, found)
	case err == nil:
		return found, nil
	case tables.Holds(dir):
		return dataset.TablesFormat, nil
	}
	if name, known := tables.DetectFormat(dir); known {
		return name, nil
	}
	return "", fmt.Errorf("%w; or tables called interactions and items (.csv, .tsv, .jsonl, .parquet, .avro, compressed, or folders of "+
		"parts), or the files of %s", err, strings.Join(tables.Formats(), ", "))
}

// none refuses the flags where no tables are read.
func (f *tableFlags) none() error {
	if f.Mapping != "" || f.Zone != "" || len(f.Columns)+len(f.Map)+len(f.Times)+len(f.Lists) > 0 {
		return usage("--mapping, --columns, --map, --times, --lists and --zone say how tables are written: " +
			"give the folder with --data, in the format events")
	}
	return nil
}

// options are what the flags say.
func (f *tableFlags) options(format string) (tables.Options, error) {
	o := tables.Options{Columns: f.Columns, Values: f.Map, Times: f.Times, Lists: f.Lists, Zone: f.Zone}
	var mapping tables.Mapping
	var err error
	switch {
	case f.Mapping != "":
		o.Format = filepath.Base(f.Mapping)
		mapping, err = tables.ReadMapping(f.Mapping)
	case format != dataset.TablesFormat:
		o.Format = format
		mapping, err = tables.NamedMapping(format)
	}
	if err != nil {
		return o, err
	}
	if o.Format != "" {
		o.Mapping = &mapping
	}
	if err := o.Validate(); err != nil {
		return o, usage("--%w", err)
	}
	return o, nil
}

// readTables reads a folder of tables as a data set.
func (f *tableFlags) readTables(env *Env, dir, format string) (*dataset.Dataset, error) {
	once, binding, err := f.openTables(env, dir, format, nil)
	if err != nil {
		return nil, err
	}
	read, err := dataset.FromRecords(env.Context, dataset.TablesFormat, once)
	if err != nil {
		return nil, err
	}
	tellRepeated(env, once)
	read.Repeated = once.Repeated
	if read.Binding, err = json.Marshal(binding); err != nil {
		return nil, err
	}
	return judged(env, read)
}

// openTables looks at all rows, and says how they are read; see tables.Options for name.
func (f *tableFlags) openTables(env *Env, dir, format string, name func(*schemas.Interaction, func() string)) (
	*dataset.Once, *tables.Binding, error,
) {
	s, err := env.Settings()
	if err != nil {
		return nil, nil, err
	}
	options, err := f.options(format)
	if err != nil {
		return nil, nil, err
	}
	options.Name = name
	folder, err := tables.Open(dir, options, s.Limits)
	if err != nil {
		return nil, nil, err
	}
	binding, err := folder.Survey(env.Context)
	if err != nil {
		return nil, nil, err
	}
	tellBinding(env, binding)
	return &dataset.Once{Records: folder}, binding, nil
}

// tellBinding prints it line by line: names of columns are others' texts.
func tellBinding(env *Env, binding *tables.Binding) {
	for _, line := range binding.Lines() {
		_, _ = terminal.Fprintln(env.Err, line)
	}
}

// tellOtherBinding says where tables are read otherwise than those that a bundle was trained on; nothing where one of both has none.
func tellOtherBinding(env *Env, bundle string, trained, read json.RawMessage) error {
	if len(trained) == 0 || len(read) == 0 {
		return nil
	}
	var then, now tables.Binding
	if err := errors.Join(json.Unmarshal(trained, &then), json.Unmarshal(read, &now)); err != nil {
		return fmt.Errorf("comparing how the tables of bundle %s were read: %w", bundle, err)
	}
	different := now.Differences(&then)
	if len(different) == 0 {
		return nil
	}
	_, _ = terminal.Fprintf(env.Err, "bundle %s was trained on tables that were read otherwise:\n", bundle)
	for _, line := range different {
		_, _ = terminal.Fprintln(env.Err, "  "+line)
	}
	return nil
}
