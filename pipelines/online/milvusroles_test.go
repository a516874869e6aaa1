package online_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// rightsArrive is how long a change of rights may take in Milvus 2.3.5, which stores it, answers, and tells its proxy later, one or
// two changes a second once some wait, in any order.
const rightsArrive = 2 * time.Minute

// grantMilvus gives a user the rights of a part, no more and no fewer, by a role of the user's name: one part has them, or the second
// would take away the first's. User and role stay for the next
// test: a right that is revoked and granted again within seconds may be missing for a minute and more, as if
//  1. the role loses Load, gets Load again, and both are stored;
//  2. the proxy hears that Load was granted, which it knows;
//  3. the proxy hears that Load was revoked.
func (w *site) grantMilvus(t *testing.T, r rights, user, part string) {
	t.Helper()
	ctx, root := t.Context(), w.milvusAs(t, "")
	w.milvusUser(t, root, user)
	wanted := make(map[milvusRight]bool)
	for _, right := range r[part].Milvus {
		for _, privilege := range right.Allow {
			wanted[milvusRight{right.Object, right.Name, privilege}] = true
		}
	}
	stored, err := root.ListGrants(ctx, user, "")
	require.NoError(t, err)
	had := make(map[milvusRight]bool)
	for _, g := range stored {
		right := milvusRight{g.Object, g.ObjectName, g.PrivilegeName}
		if had[right] = true; !wanted[right] {
			require.NoError(t, root.Revoke(ctx, user, objectType(right.object), right.name, right.privilege))
			wanted[right] = false
		}
	}
	for right, want := range wanted {
		if !want || had[right] {
			continue
		}
		err := root.Grant(ctx, user, objectType(right.object), right.name, right.privilege)
		if err != nil && strings.Contains(err.Error(), "not found") { // by name: 2.3 has no such privilege, and asks for none
			t.Logf("Milvus knows no privilege %s: %v", right.privilege, err)
			continue
		}
		require.NoError(t, err, right.privilege)
	}
	service := w.milvusAs(t, user).(*client.GrpcClient).Service
	for right, want := range wanted {
		require.Eventually(t, func() bool {
			return allows(ctx, service, right.privilege) == want
		}, rightsArrive, 100*time.Millisecond, "%s of %s, granted: %v", right.privilege, user, want)
	}
}

type milvusRight struct{ object, name, privilege string }

// milvusUser makes a user with a role of the same name, where there is none.
func (w *site) milvusUser(t *testing.T, root client.Client, user string) {
	t.Helper()
	ctx := t.Context()
	users, err := root.ListCredUsers(ctx)
	require.NoError(t, err)
	if !slices.Contains(users, user) {
		require.NoError(t, root.CreateCredential(ctx, user, w.users[user].Reveal()))
	}
	roles, err := root.ListRoles(ctx)
	require.NoError(t, err)
	if !slices.Contains(roles, entity.Role{Name: user}) {
		require.NoError(t, root.CreateRole(ctx, user))
	}
	require.NoError(t, root.AddUserRole(ctx, user, user))
	service := w.milvusAs(t, user).(*client.GrpcClient).Service
	require.Eventually(t, func() bool {
		_, err := service.GetVersion(ctx, &milvuspb.GetVersionRequest{})
		return err == nil
	}, rightsArrive, 100*time.Millisecond, "the user %s", user)
}

// allows reports whether a privilege holds, by a call about a collection that is not there.
func allows(ctx context.Context, service milvuspb.MilvusServiceClient, privilege string) bool {
	const none = "freshet_no_such_collection"
	var err error
	switch privilege {
	case "CreateCollection":
		_, err = service.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: none}) // without a schema
	case "DescribeCollection":
		_, err = service.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: none})
	case "DropCollection":
		_, err = service.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: none})
	case "CreateAlias":
		_, err = service.CreateAlias(ctx, &milvuspb.CreateAliasRequest{CollectionName: none, Alias: none + "_alias"})
	case "DescribeAlias":
		_, err = service.DescribeAlias(ctx, &milvuspb.DescribeAliasRequest{Alias: none})
	case "CreateIndex":
		_, err = service.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: none})
	case "IndexDetail":
		_, err = service.DescribeIndex(ctx, &milvuspb.DescribeIndexRequest{CollectionName: none})
	case "Load":
		_, err = service.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: none})
	case "GetLoadingProgress":
		_, err = service.GetLoadingProgress(ctx, &milvuspb.GetLoadingProgressRequest{CollectionName: none})
	case "Upsert":
		_, err = service.Upsert(ctx, &milvuspb.UpsertRequest{CollectionName: none})
	case "Delete":
		_, err = service.Delete(ctx, &milvuspb.DeleteRequest{CollectionName: none})
	case "Query":
		_, err = service.Query(ctx, &milvuspb.QueryRequest{CollectionName: none})
	case "Search":
		_, err = service.Search(ctx, &milvuspb.SearchRequest{CollectionName: none})
	default:
		panic("no call is known that takes the privilege " + privilege)
	}
	return status.Code(err) != codes.PermissionDenied
}

func objectType(name string) entity.PriviledgeObjectType {
	if name == "Global" {
		return entity.PriviledegeObjectTypeGlobal
	}
	return entity.PriviledegeObjectTypeCollection
}

// milvusAs connects to Milvus as a user, or without a name as its root.
func (w *site) milvusAs(t *testing.T, user string) client.Client {
	t.Helper()
	s := w.settings
	if user != "" {
		s = w.as(user)
	}
	encryption, err := s.Milvus.TLS.Load()
	require.NoError(t, err)
	var c client.Client
	require.Eventually(t, func() bool { // a new user is known a moment later
		c, err = client.NewClient(context.WithoutCancel(t.Context()), client.Config{
			Address: s.Milvus.Address, Username: s.Milvus.Username, Password: s.Milvus.Password.Reveal(),
			DialOptions: append(slices.Clip(client.DefaultGrpcOpts), grpc.WithTransportCredentials(credentials.NewTLS(encryption))),
		})
		return err == nil
	}, patience, 100*time.Millisecond, "%v", err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}
