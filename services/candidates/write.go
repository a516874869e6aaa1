package candidates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Upsert writes rows into the collection of a model version, each in place of the row of its id; of two with one id the later
// counts. Rows that the columns cannot hold are left out and returned as InvalidRows; any other error means that some calls of
// WriteRows rows each have not been made, and the whole may be done again.
func (ix *Index) Upsert(ctx context.Context, model string, rows []Row) error {
	name, err := ix.cfg.name(model)
	if err != nil || len(rows) == 0 {
		return err
	}
	valid, invalid, err := ix.sift(ctx, name, rows)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(valid, ix.cfg.WriteRows) {
		if err := ix.upsert(ctx, name, chunk); err != nil {
			return errors.Join(fmt.Errorf("upserting %d rows into %s: %w", len(chunk), name, err), asError(invalid))
		}
	}
	return asError(invalid)
}

func asError(invalid InvalidRows) error {
	if len(invalid) == 0 {
		return nil
	}
	return invalid
}

// sift returns the rows to write, one for each id. Milvus itself keeps both of two rows with one id in one call.
func (ix *Index) sift(ctx context.Context, name string, rows []Row) (valid []Row, invalid InvalidRows, err error) {
	ctx, cancel := ix.within(ctx)
	defer cancel()
	dim, err := ix.remembered(ctx, name, len(rows[0].Vector))
	if err != nil {
		return nil, nil, err
	}
	at := make(map[string]int, len(rows))
	for i := range rows {
		if bad := rows[i].check(dim); bad != nil {
			invalid = append(invalid, bad)
			continue
		}
		if old, again := at[rows[i].ItemID]; again {
			valid[old] = rows[i]
			continue
		}
		at[rows[i].ItemID] = len(valid)
		valid = append(valid, rows[i])
	}
	return valid, invalid, nil
}

func (ix *Index) upsert(ctx context.Context, name string, rows []Row) error {
	ctx, cancel := ix.within(ctx)
	defer cancel()
	_, err := ix.client.Upsert(ctx, name, "", columnsOf(rows, len(rows[0].Vector))...)
	return err
}

// Delete removes the rows of ids from the collection of a model version. Ids that are not there are no error.
func (ix *Index) Delete(ctx context.Context, model string, ids []string) error {
	name, err := ix.cfg.name(model)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, ix.cfg.WriteRows) {
		if err := ix.delete(ctx, name, chunk); err != nil {
			return fmt.Errorf("deleting %d rows from %s: %w", len(chunk), name, err)
		}
	}
	return nil
}

func (ix *Index) delete(ctx context.Context, name string, ids []string) error {
	// An id that is no UTF-8 has never been let in.
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !utf8.ValidString(id) })
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	return ix.client.Delete(ctx, name, "", columnID+" in "+quoteList(ids))
}
