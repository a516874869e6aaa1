package servertest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/milvus"
)

// MilvusDialTimeout is for tests that connect and expect to: a real Milvus that is making collections for other tests on a busy
// machine has let a new connection wait for more than the five seconds that are usual.
const MilvusDialTimeout = 30 * time.Second

// Milvus is a server of whose calls faults can be scripted: an embedded one, or a proxy of the real one. Its names are the test's
// own.
type Milvus struct {
	*milvus.Server
	Collection, Alias string
	// Real says that writes are seen late (Settle), and that making a collection takes seconds.
	Real   bool
	target string
}

// StartMilvus returns a server for the test.
func StartMilvus(t testing.TB) *Milvus {
	t.Helper()
	name := Name()
	m := &Milvus{Collection: name, Alias: name + "_alias"}
	m.target = os.Getenv(envMilvus)
	m.Real = m.target != ""
	var err error
	if !m.Real {
		m.Server, err = embedded.StartMilvus(t.Context(), embedded.Config{})
	} else {
		m.Server, err = milvus.StartProxy(t.Context(), m.target)
		cleanup(t, "collections "+name, m.dropAll)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// Settle returns once searches see what has been written: at once on the embedded server, after a time tick on a real one.
func (m *Milvus) Settle(t testing.TB) {
	t.Helper()
	if !m.Real {
		return
	}
	err := m.each(t.Context(), func(ctx context.Context, client milvuspb.MilvusServiceClient, name string) error {
		// A strong read waits for the tick after the last write, and no later read sees less.
		resp, err := client.Query(ctx, &milvuspb.QueryRequest{
			CollectionName: name, OutputFields: []string{"count(*)"}, ConsistencyLevel: commonpb.ConsistencyLevel_Strong,
		})
		if err == nil && resp.Status.GetCode() == collectionNotLoaded {
			return nil // nobody searches it
		}
		return errors.Join(err, failure(resp.GetStatus()))
	})
	if err != nil {
		t.Fatalf("waiting for Milvus to see all writes: %v", err)
	}
}

// collectionNotLoaded is Milvus's code.
const collectionNotLoaded = 101

// each visits the test's collections on the real server.
func (m *Milvus) each(ctx context.Context, visit func(context.Context, milvuspb.MilvusServiceClient, string) error) error {
	conn, err := grpc.NewClient(m.target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := milvuspb.NewMilvusServiceClient(conn)
	all, err := client.ShowCollections(ctx, &milvuspb.ShowCollectionsRequest{})
	if err != nil {
		return err
	}
	for _, name := range all.CollectionNames {
		if strings.HasPrefix(name, m.Collection) {
			if err := visit(ctx, client, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Milvus) dropAll(ctx context.Context) error { return m.each(ctx, drop) }

// failure is a status as an error, nil where all went well.
func failure(status *commonpb.Status) error {
	if status.GetCode() == 0 {
		return nil
	}
	return &milvus.StatusError{Code: status.GetCode(), Reason: status.GetReason()}
}

// drop takes the aliases away first: Milvus refuses to drop a collection that has one.
func drop(ctx context.Context, client milvuspb.MilvusServiceClient, name string) error {
	described, err := client.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: name})
	if err != nil {
		return err
	}
	for _, alias := range described.Aliases {
		if _, err := client.DropAlias(ctx, &milvuspb.DropAliasRequest{Alias: alias}); err != nil {
			return err
		}
	}
	status, err := client.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: name})
	return errors.Join(err, failure(status))
}
