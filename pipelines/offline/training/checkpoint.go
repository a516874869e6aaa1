package training

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A checkpoint file: the magic, a format version (uint16), the head's length (uint32), the head as JSON, the values of its
// tensors one after the other (float32), and the SHA-256 of all before it. Everything is little-endian.
const (
	checkpointMagic   = "freshetC"
	checkpointVersion = 1
	maxCheckpointHead = 1 << 20
	checkpointStart   = len(checkpointMagic) + 2 + 4
)

// checkpoint is the head: everything but the tensors, of which it has the lengths.
type checkpoint struct {
	Fingerprint Fingerprint   `json:"fingerprint"`
	Elapsed     time.Duration `json:"elapsed"`
	// Done are the heads that are trained, Current the one that is being trained, as it was at the end of an epoch.
	Done    []runState `json:"done"`
	Current runState   `json:"current"`
	Tensors []int      `json:"tensors"`
}

// runState is what a run is beside its tensors.
type runState struct {
	Stop          Stop          `json:"stop"`
	Epochs        int           `json:"epochs"`
	BestEpoch     int           `json:"best_epoch"`
	Examples      int           `json:"examples"`
	Loss          exact         `json:"loss"`
	Recall        exact         `json:"recall"`
	NDCG          exact         `json:"ndcg"`
	BestNDCG      exact         `json:"best_ndcg"`
	Kept          bool          `json:"kept"` // there are best weights
	SinceTop      int           `json:"since_top"`
	Steps         int           `json:"steps"`
	BatchSize     int           `json:"batch_size"`
	StepsPerEpoch int           `json:"steps_per_epoch"`
	Budget        time.Duration `json:"budget"`
	Elapsed       time.Duration `json:"elapsed"`
	Learning      time.Duration `json:"learning"`
	Lots          []byte        `json:"lots"`    // the generator of samples
	Windows       []byte        `json:"windows"` // the generator of windows
}

// exact is a float64 that JSON gives back bit by bit, infinities and NaN (a training that diverged) included.
type exact float64

// MarshalText writes the shortest digits that mean this number alone.
func (x exact) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(x), 'g', -1, 64), nil
}

// UnmarshalText reads them.
func (x *exact) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	*x = exact(v)
	return err
}

// errDamaged says that a file is not what was once written whole.
var errDamaged = errors.New("the checkpoint is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

// writeCheckpoint replaces the file at path by a new one in one step.
func writeCheckpoint(path string, head *checkpoint, tensors [][]float32) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-")
	if err != nil {
		return fmt.Errorf("making the checkpoint: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	err = errors.Join(encodeCheckpoint(tmp, head, tensors), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	return nil
}

func encodeCheckpoint(w io.Writer, head *checkpoint, tensors [][]float32) error {
	head.Tensors = nil
	for _, t := range tensors {
		head.Tensors = append(head.Tensors, len(t))
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	sum := sha256.New()
	b := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
	start := append(make([]byte, 0, checkpointStart), checkpointMagic...)
	start = binary.LittleEndian.AppendUint16(start, checkpointVersion)
	start = binary.LittleEndian.AppendUint32(start, uint32(len(text)))
	_, _ = b.Write(start) // the writer keeps its first error for Flush
	_, _ = b.Write(text)
	for _, t := range tensors {
		for _, v := range t {
			_, _ = b.Write(binary.LittleEndian.AppendUint32(b.AvailableBuffer(), math.Float32bits(v)))
		}
	}
	if err := b.Flush(); err != nil {
		return err
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

// checkpointReader reads a checkpoint in two moves, the head and then the tensors, so that these go where they belong.
type checkpointReader struct {
	head checkpoint
	r    *bufio.Reader
	sum  hash.Hash
	size int64 // of the tensors, as the file has room for them
}

// openCheckpoint reads the head of a checkpoint of size bytes. Nothing beyond maxCheckpointHead is allocated on the file's word.
func openCheckpoint(r io.Reader, size int64) (*checkpointReader, error) {
	c := &checkpointReader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	start, err := c.take(checkpointStart)
	if err != nil {
		return nil, damaged("it ends within its first bytes")
	}
	if string(start[:len(checkpointMagic)]) != checkpointMagic {
		return nil, damaged("it begins with %q instead of %q", start[:len(checkpointMagic)], checkpointMagic)
	}
	if v := binary.LittleEndian.Uint16(start[len(checkpointMagic):]); v != checkpointVersion {
		return nil, fmt.Errorf("the checkpoint has format version %d, this build reads %d", v, checkpointVersion)
	}
	length := int64(binary.LittleEndian.Uint32(start[len(checkpointMagic)+2:]))
	if c.size = size - int64(checkpointStart) - length - sha256.Size; length > maxCheckpointHead || c.size < 0 {
		return nil, damaged("its head of %d bytes does not fit into %d", length, size)
	}
	text, err := c.take(int(length))
	if err != nil {
		return nil, damaged("it ends within its head")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c.head); err != nil {
		return nil, damaged("its head cannot be read: %v", err)
	}
	return c, nil
}

// take reads n bytes, which stay valid.
func (c *checkpointReader) take(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c.r, b)
	c.sum.Write(b)
	return b, err
}

// tensors fills into, whose lengths must be the head's, and holds everything against the checksum. What it has filled in is of
// no use when it returns an error.
func (c *checkpointReader) tensors(into [][]float32) error {
	if len(into) != len(c.head.Tensors) {
		return damaged("it holds %d tensors instead of %d", len(c.head.Tensors), len(into))
	}
	total := int64(0)
	for i, t := range into {
		if len(t) != c.head.Tensors[i] {
			return damaged("its tensor %d holds %d values instead of %d", i, c.head.Tensors[i], len(t))
		}
		total += 4 * int64(len(t))
	}
	if total != c.size {
		return damaged("it has %d bytes of tensors instead of %d", c.size, total)
	}
	buffer := make([]byte, 1<<16)
	for _, t := range into {
		for len(t) > 0 {
			chunk := buffer[:min(len(buffer), 4*len(t))]
			if _, err := io.ReadFull(c.r, chunk); err != nil {
				return damaged("it ends within its tensors")
			}
			c.sum.Write(chunk)
			for i := range len(chunk) / 4 {
				t[i] = math.Float32frombits(binary.LittleEndian.Uint32(chunk[4*i:]))
			}
			t = t[len(chunk)/4:]
		}
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(c.r, want); err != nil || !bytes.Equal(want, c.sum.Sum(nil)) {
		return damaged("its checksum is not that of its content")
	}
	return nil
}

// RemoveCheckpoint takes away a checkpoint that nobody will go on from, if there is one. Another file is left alone.
func RemoveCheckpoint(path string) error {
	if err := checkMagic(path); err != nil {
		return fmt.Errorf("removing the checkpoint: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the checkpoint: %w", err)
	}
	return nil
}

// checkMagic refuses a file that is no checkpoint, not even a damaged one.
func checkMagic(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	start := make([]byte, len(checkpointMagic))
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if string(start[:n]) != checkpointMagic[:n] {
		return fmt.Errorf("%s is no checkpoint, it begins with %q: name another file", path, start[:n])
	}
	return nil
}
