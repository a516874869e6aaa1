package servertest

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/milvus"
)

// Milvus is a server of whose calls faults can be scripted: an embedded one, or a proxy of the real one. Its names are the test's
// own.
type Milvus struct {
	*milvus.Server
	Collection, Alias string
	// Real says that writes are seen late, and that time is spent on loading.
	Real bool
}

// StartMilvus returns a server for the test.
func StartMilvus(t testing.TB) *Milvus {
	t.Helper()
	name := Name()
	m := &Milvus{Collection: name, Alias: name + "_alias"}
	target := os.Getenv(envMilvus)
	m.Real = target != ""
	var err error
	if !m.Real {
		m.Server, err = embedded.StartMilvus(t.Context(), embedded.Config{})
	} else {
		m.Server, err = milvus.StartProxy(t.Context(), target)
		cleanup(t, "collections "+name, func(ctx context.Context) error { return dropCollections(ctx, target, name) })
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// dropCollections drops the collections whose names begin so, and the alias with them.
func dropCollections(ctx context.Context, target, prefix string) error {
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := milvuspb.NewMilvusServiceClient(conn)
	all, err := client.ShowCollections(ctx, &milvuspb.ShowCollectionsRequest{})
	if err != nil {
		return err
	}
	for _, name := range all.CollectionNames {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if err := drop(ctx, client, name); err != nil {
			return err
		}
	}
	return nil
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
	var status *commonpb.Status
	if status, err = client.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: name}); err != nil {
		return err
	}
	if status.GetCode() != 0 {
		return &milvus.StatusError{Code: status.GetCode(), Reason: status.GetReason()}
	}
	return nil
}
