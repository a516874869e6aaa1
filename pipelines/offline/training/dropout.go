package training

import (
	"encoding/binary"
	"math/bits"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/services/towers/matrix"
)

// dropout leaves out a share of activations (Srivastava and others, 2014) and scales the rest up. Its masks are random bytes:
// an activation falls when its byte is below a threshold, so the share is a multiple of 1/256 and the scale exact for it.
type dropout struct {
	least  int     // byte that keeps an activation; 0 turns dropout off
	factor float32 // of what is kept
	state  uint64
}

func newDropout(share float64) dropout {
	least := int(share*256 + 0.5)
	return dropout{least: least, factor: float32(256 / float64(256-least))}
}

// seed starts the masks of one worker's step.
func (d *dropout) seed(parts ...uint64) {
	d.state = 0
	for _, p := range parts {
		d.state = dataset.Mix64(d.state ^ p)
	}
}

// apply draws a mask as long as x and multiplies x by it.
func (d *dropout) apply(x []float32, mask []byte) {
	if d.least == 0 {
		return
	}
	mask = mask[:len(x)]
	for i := 0; i < len(mask); i += 8 {
		// wyrand of Wang Yi.
		d.state += 0xa0761d6478bd642f
		hi, lo := bits.Mul64(d.state, d.state^0xe7037ed1a0b428db)
		if len(mask)-i >= 8 {
			binary.LittleEndian.PutUint64(mask[i:], hi^lo)
			continue
		}
		for j := range mask[i:] {
			mask[i+j] = byte((hi ^ lo) >> (8 * j))
		}
	}
	d.repeat(x, mask)
}

// repeat multiplies x by a mask drawn before.
func (d *dropout) repeat(x []float32, mask []byte) {
	if d.least == 0 {
		return
	}
	matrix.ScaleWhere(d.factor, x, mask, d.least)
}
