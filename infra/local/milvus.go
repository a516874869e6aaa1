package local

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

func (s *Servers) milvusHome() string {
	return filepath.Join(s.dir, "install", "milvus-"+milvusVersion)
}

// milvusParts are the ports that a Milvus listens on: its template's name for each and the distance from the first.
var milvusParts = map[string]int{
	"proxy_port": 0, "root_coord_port": 1, "proxy_internal_port": 2, "query_coord_port": 3, "query_node_port": 4, "index_coord_port": 5,
	"index_node_port": 6, "data_coord_port": 7, "data_node_port": 8, "etcd_port": 20,
}

const etcdPeers, milvusMetrics = 21, 22

func milvusPorts(first int) []int {
	ports := []int{first, first + etcdPeers, first + milvusMetrics}
	for _, distance := range milvusParts {
		if distance > 0 {
			ports = append(ports, first+distance)
		}
	}
	return ports
}

func (s *Servers) milvus() unit {
	return s.milvusUnit(Milvus, milvusPort+s.shift, nil, s.probeMilvus)
}

// milvusSecure wants TLS and a user; its root's password is made ours when it first serves.
func (s *Servers) milvusSecure() unit {
	settings := map[string]any{
		"tls.serverPemPath": s.tlsFile("server.pem"), "tls.serverKeyPath": s.tlsFile("server.key"), "tls.caPemPath": s.description.CA,
		"common.security.tlsMode": 1, "common.security.authorizationEnabled": true,
	}
	return s.milvusUnit(MilvusSecure, milvusSecurePort+s.shift, settings, s.probeMilvusSecure)
}

func (s *Servers) milvusUnit(name string, first int, settings map[string]any, probe func(context.Context) error) unit {
	return unit{
		name: name, ports: milvusPorts(first), patience: 3 * time.Minute, install: s.installMilvus,
		prepare: func(context.Context) (command, error) { return s.prepareMilvus(name, first, settings) },
		probe: func(ctx context.Context) error {
			// A client that comes before Milvus has elected its coordinators makes it wait longer.
			if err := healthy(ctx, first+milvusMetrics); err != nil {
				return err
			}
			return probe(ctx)
		},
	}
}

func healthy(ctx context.Context, port int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(port)+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz answers %s", response.Status)
	}
	return nil
}

// placeholder is a value that the template leaves open: {{ name(type): default }}.
var placeholder = regexp.MustCompile(`\{\{\s*(\w+)(?:\(\w+\))?\s*(?::\s*(.*?)\s*)?\}\}`)

// milvusConfig fills in the configuration that came with Milvus.
func (s *Servers) milvusConfig(template []byte, name string, first int, settings map[string]any) ([]byte, error) {
	data := filepath.Join(s.folder(name), "data")
	values := map[string]string{
		"etcd_log_path": filepath.Join(s.folder(name), "etcd.log"), "etcd_data_dir": filepath.Join(data, "etcd"),
		"local_storage_dir": filepath.Join(data, "storage"), "rocksmq_data_dir": filepath.Join(data, "rocksmq"),
		"system_log_path": "", // to the standard output alone
	}
	for part, distance := range milvusParts {
		values[part] = strconv.Itoa(first + distance)
	}
	text := placeholder.ReplaceAllStringFunc(string(template), func(found string) string {
		match := placeholder.FindStringSubmatch(found)
		if value, ours := values[match[1]]; ours {
			return value
		}
		return match[2]
	})
	var config map[string]any
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return nil, fmt.Errorf("reading the configuration of Milvus %s: %w", milvusVersion, err)
	}
	all := map[string]any{
		"etcd.config.path":           filepath.Join(s.folder(name), "etcd.yaml"),
		"proxy.timeTickInterval":     50,
		"common.gracefulStopTimeout": 10,
		"log.level":                  "warn",
	}
	for _, part := range []string{"proxy", "rootCoord", "queryCoord", "queryNode", "indexNode", "dataCoord", "dataNode"} {
		all[part+".ip"] = "127.0.0.1"
	}
	for _, more := range []map[string]any{all, settings} {
		for path, value := range more {
			if err := put(config, strings.Split(path, "."), value); err != nil {
				return nil, fmt.Errorf("setting %s of Milvus: %w", path, err)
			}
		}
	}
	return yaml.Marshal(config)
}

// put sets a value at a path of nested maps.
func put(config map[string]any, path []string, value any) error {
	for ; len(path) > 1; path = path[1:] {
		if config[path[0]] == nil {
			config[path[0]] = map[string]any{}
		}
		inner, nested := config[path[0]].(map[string]any)
		if !nested {
			return fmt.Errorf("%s is %v and has nothing inside", path[0], config[path[0]])
		}
		config = inner
	}
	config[path[0]] = value
	return nil
}

func (s *Servers) prepareMilvus(name string, first int, settings map[string]any) (command, error) {
	template, err := os.ReadFile(filepath.Join(s.milvusHome(), "config.yaml.template"))
	if err != nil {
		return command{}, err
	}
	config, err := s.milvusConfig(template, name, first, settings)
	if err != nil {
		return command{}, err
	}
	logging, err := os.ReadFile(filepath.Join(s.milvusHome(), "glog.conf"))
	if err != nil {
		return command{}, err
	}
	clients, peers := "http://"+loopback(first+milvusParts["etcd_port"]), "http://"+loopback(first+etcdPeers)
	etcd := fmt.Sprintf("name: default\nlisten-client-urls: %s\nadvertise-client-urls: %s\nlisten-peer-urls: %s\n"+
		"initial-advertise-peer-urls: %s\ninitial-cluster: default=%s\n", clients, clients, peers, peers, peers)
	err = errors.Join(
		os.MkdirAll(filepath.Join(s.folder(name), "data", "storage"), 0o700),
		writeFile(filepath.Join(s.folder(name), "milvus.yaml"), config),
		writeFile(filepath.Join(s.folder(name), "glog.conf"), logging),
		writeFile(filepath.Join(s.folder(name), "etcd.yaml"), []byte(etcd)))
	return command{
		// The alias names the lock file that Milvus keeps, one for each instance on a machine.
		args: []string{filepath.Join(s.milvusHome(), "bin", "milvus"), "run", "standalone", "-alias", "freshet-" + strconv.Itoa(first)},
		env: []string{
			"MILVUSCONF=" + s.folder(name), "DEPLOY_MODE=STANDALONE", "METRICS_PORT=" + strconv.Itoa(first+milvusMetrics),
			"LD_LIBRARY_PATH=" + filepath.Join(s.milvusHome(), "bin"),
		},
		dir: s.folder(name),
	}, err
}

// dialMilvus connects without Milvus's SDK, which belongs to services/candidates.
func dialMilvus(address string, transport credentials.TransportCredentials, use func(milvuspb.MilvusServiceClient) error) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return use(milvuspb.NewMilvusServiceClient(conn))
}

func (s *Servers) probeMilvus(ctx context.Context) error {
	return dialMilvus(s.description.Milvus.Address, insecure.NewCredentials(), func(client milvuspb.MilvusServiceClient) error {
		return countAll(ctx, client)
	})
}

// as signs calls with a name and a password.
func as(ctx context.Context, user, password string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// initialPassword is what a new Milvus gives its root.
const initialPassword = "Milvus"

func (s *Servers) probeMilvusSecure(ctx context.Context) error {
	trusting, err := trust(s.description.CA)
	if err != nil {
		return err
	}
	root := s.description.Milvus.Root
	return dialMilvus(s.description.Milvus.Secure, credentials.NewTLS(trusting), func(client milvuspb.MilvusServiceClient) error {
		ours := countAll(as(ctx, root.Name, root.Password), client)
		if ours == nil {
			return nil
		}
		encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
		status, err := client.UpdateCredential(as(ctx, root.Name, initialPassword), &milvuspb.UpdateCredentialRequest{
			Username: root.Name, OldPassword: encode(initialPassword), NewPassword: encode(root.Password),
		})
		if err := refusal(status, err); err != nil {
			return errors.Join(ours, err)
		}
		return countAll(as(ctx, root.Name, root.Password), client)
	})
}

// probeCollection holds nothing; it is there to be loaded, which needs all of Milvus's parts.
const probeCollection = "freshet_local_probe"

// countAll counts the rows of every loaded collection, the probe's among them, which it makes if there is none. After a crash
// Milvus calls itself healthy for some seconds before its collections are loaded again; counting fails until they are.
func countAll(ctx context.Context, client milvuspb.MilvusServiceClient) error {
	has, err := client.HasCollection(ctx, &milvuspb.HasCollectionRequest{CollectionName: probeCollection})
	if err := refusal(has.GetStatus(), err); err != nil {
		return err
	}
	if !has.GetValue() {
		if err := makeProbe(ctx, client); err != nil {
			return err
		}
	}
	load, err := client.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: probeCollection, ReplicaNumber: 1})
	if err := refusal(load, err); err != nil {
		return err
	}
	loaded, err := client.ShowCollections(ctx, &milvuspb.ShowCollectionsRequest{Type: milvuspb.ShowType_InMemory})
	if err := refusal(loaded.GetStatus(), err); err != nil {
		return err
	}
	for _, name := range loaded.GetCollectionNames() {
		counted, err := client.Query(ctx, &milvuspb.QueryRequest{
			CollectionName: name, OutputFields: []string{"count(*)"}, UseDefaultConsistency: false,
			ConsistencyLevel: commonpb.ConsistencyLevel_Eventually,
		})
		if err := refusal(counted.GetStatus(), err); err != nil {
			return fmt.Errorf("counting the rows of %s: %w", name, err)
		}
	}
	return nil
}

func makeProbe(ctx context.Context, client milvuspb.MilvusServiceClient) error {
	schema, err := proto.Marshal(protoadapt.MessageV2Of(&schemapb.CollectionSchema{Name: probeCollection, Fields: []*schemapb.FieldSchema{
		{Name: "id", IsPrimaryKey: true, DataType: schemapb.DataType_Int64},
		{Name: "vector", DataType: schemapb.DataType_FloatVector, TypeParams: pairs("dim", "2")},
	}}))
	if err != nil {
		return err
	}
	status, err := client.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{
		CollectionName: probeCollection, Schema: schema, ShardsNum: 1,
	})
	if err := refusal(status, err); err != nil {
		return err
	}
	status, err = client.CreateIndex(ctx, &milvuspb.CreateIndexRequest{
		CollectionName: probeCollection, FieldName: "vector", IndexName: "vector",
		ExtraParams: pairs("index_type", "FLAT", "metric_type", "IP"),
	})
	return refusal(status, err)
}

func pairs(words ...string) (list []*commonpb.KeyValuePair) {
	for ; len(words) > 0; words = words[2:] {
		list = append(list, &commonpb.KeyValuePair{Key: words[0], Value: words[1]})
	}
	return list
}

// refusal is the error of a call or of its answer: Milvus answers most refusals with a status.
func refusal(status *commonpb.Status, err error) error {
	if err == nil && status.GetCode() != 0 {
		err = fmt.Errorf("code %d of Milvus: %s", status.GetCode(), status.GetReason())
	}
	return err
}
