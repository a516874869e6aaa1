package candidates

import (
	"fmt"
	"strconv"

	"github.com/milvus-io/milvus-sdk-go/v2/entity"
)

// Names of the columns.
const (
	columnID          = "item_id"
	columnVector      = "vector"
	columnAvailable   = "available"
	columnPrice       = "price"
	columnPublishedAt = "published_at"
	columnCategories  = "categories"
	columnRegions     = "regions"
	columnBrand       = "brand"
	columnMinAge      = "min_age"
)

func schemaOf(name string, dim int) *entity.Schema {
	field := func(name string, t entity.FieldType) *entity.Field {
		return entity.NewField().WithName(name).WithDataType(t)
	}
	text := func(name string, most int64) *entity.Field {
		return field(name, entity.FieldTypeVarChar).WithMaxLength(most)
	}
	texts := func(name string) *entity.Field {
		return field(name, entity.FieldTypeArray).WithElementType(entity.FieldTypeVarChar).
			WithMaxLength(maxStringBytes).WithMaxCapacity(maxListLength)
	}
	return entity.NewSchema().WithName(name).WithDescription("items of one model version of Freshet").
		WithField(text(columnID, maxIDBytes).WithIsPrimaryKey(true)).
		WithField(field(columnVector, entity.FieldTypeFloatVector).WithDim(int64(dim))).
		WithField(field(columnAvailable, entity.FieldTypeBool)).
		WithField(field(columnPrice, entity.FieldTypeFloat)).
		WithField(field(columnPublishedAt, entity.FieldTypeInt64)).
		WithField(texts(columnCategories)).
		WithField(texts(columnRegions)).
		WithField(text(columnBrand, maxStringBytes)).
		WithField(field(columnMinAge, entity.FieldTypeInt32))
}

// dimensionOf checks that a schema has Freshet's columns and returns the length of its vectors.
func dimensionOf(s *entity.Schema) (int, error) {
	have := make(map[string]*entity.Field, len(s.Fields))
	for _, f := range s.Fields {
		have[f.Name] = f
	}
	for _, want := range schemaOf("", 1).Fields {
		if got := have[want.Name]; got == nil || got.DataType != want.DataType {
			return 0, fmt.Errorf("column %s: %w", want.Name, errSchema)
		}
	}
	return strconv.Atoi(have[columnVector].TypeParams[entity.TypeParamDim])
}

// columnsOf lays rows out by column.
func columnsOf(rows []Row, dim int) []entity.Column {
	var (
		ids, brands         = make([]string, len(rows)), make([]string, len(rows))
		vectors             = make([][]float32, len(rows))
		available           = make([]bool, len(rows))
		prices              = make([]float32, len(rows))
		published           = make([]int64, len(rows))
		categories, regions = make([][][]byte, len(rows)), make([][][]byte, len(rows))
		ages                = make([]int32, len(rows))
	)
	for i := range rows {
		r := &rows[i]
		ids[i], vectors[i], available[i], prices[i], published[i] = r.ItemID, r.Vector, r.Available, r.Price, r.PublishedAt
		categories[i], regions[i], brands[i], ages[i] = bytesOf(r.Categories), bytesOf(r.Regions), r.Brand, r.MinAge
	}
	return []entity.Column{
		entity.NewColumnVarChar(columnID, ids),
		entity.NewColumnFloatVector(columnVector, dim, vectors),
		entity.NewColumnBool(columnAvailable, available),
		entity.NewColumnFloat(columnPrice, prices),
		entity.NewColumnInt64(columnPublishedAt, published),
		entity.NewColumnVarCharArray(columnCategories, categories),
		entity.NewColumnVarCharArray(columnRegions, regions),
		entity.NewColumnVarChar(columnBrand, brands),
		entity.NewColumnInt32(columnMinAge, ages),
	}
}

func bytesOf(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}
