package milvus

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"path"
	"strings"
	"sync"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Option changes a server that is about to start.
type Option func(*Server)

// WithTLS has the server show this to its clients.
func WithTLS(c *tls.Config) Option { return func(s *Server) { s.tls = c } }

func (s *Server) credentials() credentials.TransportCredentials {
	if s.tls == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(s.tls)
}

// Grant allows a user one privilege, as Milvus names them: Collection, freshet_items_m1, Search, or Global, *, CreateCollection.
// The object's name may be a pattern with *.
type Grant struct{ ObjectType, Object, Privilege string }

// access knows who may do what. Without users everybody may do everything.
type access struct {
	mu    sync.RWMutex
	users map[string]user
}

type user struct {
	password string
	all      bool
	grants   []Grant
}

// RequireUser has the server ask for credentials from now on and adds a user who may do everything, as root may.
func (s *Server) RequireUser(name, password string) {
	s.access.set(name, user{password: password, all: true})
}

// RequireUserWith is RequireUser for a user who has the grants alone. What a request needs is what Milvus's own proto says of it.
func (s *Server) RequireUserWith(name, password string, grants ...Grant) {
	s.access.set(name, user{password: password, grants: grants})
}

func (a *access) set(name string, u user) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == nil {
		a.users = make(map[string]user)
	}
	a.users[name] = u
}

// check answers as Milvus's proxy does (authentication_interceptor.go, privilege_interceptor.go).
func (a *access) check(ctx context.Context, request any) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.users == nil {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	header := md.Get("authorization")
	if len(header) == 0 {
		return status.Error(codes.Unauthenticated, "missing authorization in header")
	}
	token, err := base64.StdEncoding.DecodeString(header[0])
	if err != nil {
		return status.Error(codes.Unauthenticated, "invalid token format")
	}
	name, password, _ := strings.Cut(string(token), ":")
	u, known := a.users[name]
	if !known || u.password != password {
		return status.Error(codes.Unauthenticated, "auth check failure, please check username and password are correct")
	}
	needed, ok := privilegeOf(request)
	if !ok || u.may(needed) {
		return nil
	}
	return status.Errorf(codes.PermissionDenied, "%s: permission deny to %s in the `default` database",
		"Privilege"+needed.Privilege, name)
}

func (u user) may(needed Grant) bool {
	if u.all {
		return true
	}
	for _, g := range u.grants {
		fits, err := path.Match(g.Object, needed.Object)
		if err == nil && fits && g.ObjectType == needed.ObjectType && (g.Privilege == needed.Privilege || g.Privilege == "*") {
			return true
		}
	}
	return false
}

// privilegeOf reads what a request needs from its descriptor; false where it needs nothing.
func privilegeOf(request any) (Grant, bool) {
	m, ok := request.(protoadapt.MessageV1) // Milvus's generated code is of the first kind
	if !ok {
		return Grant{}, false
	}
	reflected := protoadapt.MessageV2Of(m).ProtoReflect()
	options := reflected.Descriptor().Options()
	if !proto.HasExtension(options, commonpb.E_PrivilegeExtObj) {
		return Grant{}, false
	}
	ext, ok := proto.GetExtension(options, commonpb.E_PrivilegeExtObj).(*commonpb.PrivilegeExt)
	if !ok {
		return Grant{}, false
	}
	g := Grant{
		ObjectType: ext.GetObjectType().String(), Object: "*",
		Privilege: strings.TrimPrefix(ext.GetObjectPrivilege().String(), "Privilege"),
	}
	if field := reflected.Descriptor().Fields().ByNumber(protoreflect.FieldNumber(ext.GetObjectNameIndex())); field != nil &&
		field.Kind() == protoreflect.StringKind && !field.IsList() {
		g.Object = reflected.Get(field).String()
	}
	return g, true
}
