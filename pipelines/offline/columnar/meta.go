package columnar

import (
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// These are the parts of Parquet's structures that are needed here. The library's own hold the rest, too, statistics above all,
// and require fields that the format makes optional: the value of a pair of a column's metadata is one.

type fileMeta struct {
	Schema     thrift.Slice[format.SchemaElement] `thrift:"2,required"`
	NumRows    int64                              `thrift:"3,required"`
	RowGroups  thrift.Slice[rowGroup]             `thrift:"4,required"`
	Encryption format.EncryptionAlgorithm         `thrift:"8,optional"`
}

type rowGroup struct {
	Columns thrift.Slice[columnChunk] `thrift:"1,required"`
	NumRows int64                     `thrift:"3,required"`
}

type columnChunk struct {
	FilePath       string                      `thrift:"1,optional"`
	Meta           chunkMeta                   `thrift:"3,optional"`
	Encryption     format.ColumnCryptoMetaData `thrift:"8,optional"`
	EncryptedAgain []byte                      `thrift:"9,optional"`
}

type chunkMeta struct {
	Type             format.Type             `thrift:"1,required"`
	Codec            format.CompressionCodec `thrift:"4,required"`
	NumValues        int64                   `thrift:"5,required"`
	Size             int64                   `thrift:"7,required"`
	DataOffset       int64                   `thrift:"9,required"`
	DictionaryOffset int64                   `thrift:"11,optional"`
}

type pageHeader struct {
	Type       format.PageType                          `thrift:"1,required"`
	Unpacked   int32                                    `thrift:"2,required"`
	Packed     int32                                    `thrift:"3,required"`
	CRC        int32                                    `thrift:"4,optional"`
	Data       thrift.Null[dataHeader]                  `thrift:"5,optional"`
	Dictionary thrift.Null[format.DictionaryPageHeader] `thrift:"7,optional"`
	DataV2     thrift.Null[dataHeaderV2]                `thrift:"8,optional"`
}

type dataHeader struct {
	NumValues   int32           `thrift:"1,required"`
	Encoding    format.Encoding `thrift:"2,required"`
	Definitions format.Encoding `thrift:"3,required"`
	Repetitions format.Encoding `thrift:"4,required"`
}

type dataHeaderV2 struct {
	NumValues       int32             `thrift:"1,required"`
	Encoding        format.Encoding   `thrift:"4,required"`
	DefinitionBytes int32             `thrift:"5,required"`
	RepetitionBytes int32             `thrift:"6,required"`
	IsCompressed    thrift.Null[bool] `thrift:"7,optional"`
}
