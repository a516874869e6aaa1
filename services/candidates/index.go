package candidates

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	grpc_retry "github.com/grpc-ecosystem/go-grpc-middleware/retry"
	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"
	"google.golang.org/grpc"
)

// Index is a connection to Milvus. It is safe for concurrent use.
type Index struct {
	client      client.Client
	cfg         Config
	consistency entity.ConsistencyLevel

	mu   sync.Mutex
	dims map[string]int // by collection name: what DescribeCollection said last

	lastLive atomic.Pointer[Collection]
}

// failFast turns each Milvus status other than success into an error, and switches the SDK's retries off: up to 6 of them
// with 14 s in all on a lost connection, up to 75 on a rate limit, and all of it unseen by whoever has to answer in 200 ms.
func failFast() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		if err := invoke(ctx, method, req, reply, cc, append(opts, grpc_retry.Disable())...); err != nil {
			return err
		}
		switch r := reply.(type) {
		case *commonpb.Status:
			return errorOf(r)
		case interface{ GetStatus() *commonpb.Status }:
			return errorOf(r.GetStatus())
		}
		return nil
	})
}

// Close ends the connection.
func (ix *Index) Close() error { return ix.client.Close() }

func (ix *Index) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, ix.cfg.CallTimeout)
}

// Ensure makes the collection of a model version with its index, where it is missing, and loads it. dim is the length of the
// model's vectors; a collection of another length is an error. Several processes may do so at once. It waits at most
// LoadTimeout.
func (ix *Index) Ensure(ctx context.Context, model string, dim int) error {
	name, err := ix.cfg.name(model)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ix.cfg.LoadTimeout)
	defer cancel()
	if err := ix.ensure(ctx, name, dim); err != nil {
		return fmt.Errorf("preparing collection %s: %w", name, err)
	}
	return nil
}

func (ix *Index) ensure(ctx context.Context, name string, dim int) error {
	have, err := ix.describe(ctx, name)
	if IsNotFound(err) {
		if err := ix.create(ctx, name, dim); err != nil {
			return err
		}
		have, err = ix.describe(ctx, name)
	}
	if err != nil {
		return err
	}
	if have != dim {
		return fmt.Errorf("it holds vectors of %d dimensions, the model makes %d: publish the model under a new version", have, dim)
	}
	if err := ix.load(ctx, name); err != nil {
		return fmt.Errorf("loading it: %w", err)
	}
	return nil
}

// create may run in two processes at once: Milvus answers the second as it did the first, as long as both ask for the same.
func (ix *Index) create(ctx context.Context, name string, dim int) error {
	if err := ix.client.CreateCollection(ctx, schemaOf(name, dim), 1, client.WithConsistencyLevel(ix.consistency)); err != nil {
		return fmt.Errorf("creating it: %w", err)
	}
	return nil
}

func (ix *Index) load(ctx context.Context, name string) error {
	// A crash between the making of the collection and that of its index leaves one without; the same index again is no error.
	indexed, err := ix.client.DescribeIndex(ctx, name, columnVector)
	if err != nil && !hasCode(err, codeIndexNotFound) {
		return err
	}
	if len(indexed) == 0 {
		hnsw, err := entity.NewIndexHNSW(entity.IP, ix.cfg.HNSW.M, ix.cfg.HNSW.EfConstruction)
		if err != nil {
			return err
		}
		if err := ix.client.CreateIndex(ctx, name, columnVector, hnsw, true); err != nil {
			return fmt.Errorf("creating the index: %w", err)
		}
	}
	if err := ix.client.LoadCollection(ctx, name, true); err != nil {
		return err
	}
	return ix.awaitLoaded(ctx, name)
}

func (ix *Index) awaitLoaded(ctx context.Context, name string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := ix.client.GetLoadState(ctx, name, nil)
		if err != nil || state == entity.LoadStateLoaded {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Loaded tells whether the collection of a model version is there and answers searches.
func (ix *Index) Loaded(ctx context.Context, model string) (bool, error) {
	name, err := ix.cfg.name(model)
	if err != nil {
		return false, err
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	state, err := ix.client.GetLoadState(ctx, name, nil)
	if err != nil {
		return false, fmt.Errorf("reading load state of %s: %w", name, err)
	}
	return state == entity.LoadStateLoaded, nil
}

// Drop removes the collection of a model version with all its rows; an unknown one is no error. The live one is refused.
func (ix *Index) Drop(ctx context.Context, model string) error {
	name, err := ix.cfg.name(model)
	if err != nil {
		return err
	}
	live, err := ix.Live(ctx)
	if err != nil && !IsNoLive(err) {
		return err
	}
	if live == model {
		return fmt.Errorf("dropping collection %s: it is live, switch to another version first", name)
	}
	return ix.Discard(ctx, model)
}

// Discard is Drop for a collection that may be live: then nothing is, as its alias goes with it. It is for whoever made both for
// themselves.
func (ix *Index) Discard(ctx context.Context, model string) error {
	name, err := ix.cfg.name(model)
	if err != nil {
		return err
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	if err := ix.client.DropCollection(ctx, name); err != nil {
		return fmt.Errorf("dropping collection %s: %w", name, err)
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	delete(ix.dims, name)
	return nil
}

// remembered is the length of a collection's vectors. It asks the server only when it does not know it or knows another than
// expected: then the collection may have been dropped and made again.
func (ix *Index) remembered(ctx context.Context, name string, expected int) (int, error) {
	ix.mu.Lock()
	dim, known := ix.dims[name]
	ix.mu.Unlock()
	if known && dim == expected {
		return dim, nil
	}
	return ix.describe(ctx, name)
}

// describe asks for a collection's schema, which also renews what the SDK remembers of it.
func (ix *Index) describe(ctx context.Context, name string) (dim int, err error) {
	c, err := ix.client.DescribeCollection(ctx, name)
	if err == nil {
		dim, err = dimensionOf(c.Schema)
	}
	if err != nil {
		return 0, fmt.Errorf("describing collection %s: %w", name, err)
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.dims[name] = dim
	return dim, nil
}

var errSchema = errors.New("the collection is not one of Freshet's: drop it or choose another prefix")
