package candidates

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/milvus-io/milvus-sdk-go/v2/client"
)

// EachID calls each with the ids of all rows of a model version's collection, in their order, at most WriteRows at a time. A
// row that comes or goes meanwhile may be among them.
func (ix *Index) EachID(ctx context.Context, model string, each func(ids []string) error) error {
	name, err := ix.cfg.name(model)
	if err != nil {
		return err
	}
	for after := ""; ; {
		ids, err := ix.idsAfter(ctx, name, after)
		if err != nil {
			return fmt.Errorf("listing the rows of %s: %w", name, err)
		}
		if len(ids) == 0 {
			return nil
		}
		if err := each(ids); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// idsAfter asks with a new iterator for each page: the SDK's own way to the next page does not quote the id at which it is.
func (ix *Index) idsAfter(ctx context.Context, name, after string) ([]string, error) {
	ctx, cancel := ix.within(ctx)
	defer cancel()
	rows, err := ix.client.QueryIterator(ctx, client.NewQueryIteratorOption(name).
		WithExpr(columnID+" > "+quote(after)).WithOutputFields(columnID).WithBatchSize(ix.cfg.WriteRows))
	if err != nil {
		return nil, err
	}
	page, err := rows.Next(ctx)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	column := page.GetColumn(columnID)
	if column == nil {
		return nil, fmt.Errorf("column %s: %w", columnID, errSchema)
	}
	ids := make([]string, column.Len())
	for i := range ids {
		if ids[i], err = column.GetAsString(i); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
