package schemas

import (
	"fmt"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// AppendItemChange appends the Avro body of c, without framing. An op that the schema does not have is written as unknown.
func AppendItemChange(dst []byte, c *ItemChange) []byte {
	dst = avro.AppendString(dst, c.ItemID)
	dst = appendSymbol(dst, c.Op, itemOps)
	dst = avro.AppendLong(dst, c.Version)
	dst = avro.AppendTime(dst, c.OccurredAt)
	dst = avro.AppendString(dst, c.Title)
	dst = avro.AppendString(dst, c.Description)
	dst = avro.AppendStrings(dst, c.Categories)
	dst = avro.AppendStrings(dst, c.Tags)
	dst = avro.AppendString(dst, c.Brand)
	dst = avro.AppendOptionalDouble(dst, c.Price)
	dst = avro.AppendString(dst, c.Currency)
	dst = avro.AppendBool(dst, c.Available)
	dst = avro.AppendStrings(dst, c.Regions)
	dst = avro.AppendOptionalTime(dst, c.PublishedAt)
	dst = avro.AppendLong(dst, int64(c.MinAge))
	return avro.AppendStringMap(dst, c.Attributes)
}

// DecodeItemChange reads an Avro body written by the current schema. Its strings share one copy of src.
func DecodeItemChange(src []byte) (ItemChange, error) {
	r := avro.NewReader(src)
	c := ItemChange{
		ItemID:      r.Text(),
		Op:          ItemOp(r.Index(len(itemOps))),
		Version:     r.Long(),
		OccurredAt:  r.Time(),
		Title:       r.Text(),
		Description: r.Text(),
		Categories:  r.Strings(),
		Tags:        r.Strings(),
		Brand:       r.Text(),
		Price:       r.OptionalDouble(),
		Currency:    r.Text(),
		Available:   r.Bool(),
		Regions:     r.Strings(),
		PublishedAt: r.OptionalTime(),
		MinAge:      r.Int(),
		Attributes:  r.StringMap(),
	}
	if err := r.Finish(); err != nil {
		return ItemChange{}, fmt.Errorf("decoding item change: %w", err)
	}
	return c, nil
}
