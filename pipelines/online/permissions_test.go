package online_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/erasure"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/redisdb"
)

// rights is infra/permissions/permissions.yaml: what each part needs.
type rights map[string]struct {
	Kafka []kafkaRight
	Redis struct{ Keys, Commands, Writes []string }
	// Milvus is by object.
	Milvus []struct {
		Object, Name string
		Allow        []string
	}
}

type kafkaRight struct {
	Topic, Group string
	Prefix       bool
	Allow        []string
}

// readRights reads the file with the site's name for the default one.
func readRights(t *testing.T, name string) rights {
	t.Helper()
	text, err := os.ReadFile("../../infra/permissions/permissions.yaml")
	require.NoError(t, err)
	var r rights
	require.NoError(t, yaml.Unmarshal([]byte(strings.ReplaceAll(string(text), "freshet", name)), &r))
	return r
}

// acls are the Kafka ACLs of a user.
func (r rights) acls(part, user string) []kafka.ACLEntry {
	var all []kafka.ACLEntry
	for _, right := range r[part].Kafka {
		for _, name := range right.Allow {
			operation := kafka.ACLOperationTypeUnknown
			if err := operation.UnmarshalText([]byte(name)); err != nil {
				panic(err)
			}
			e := kafka.ACLEntry{
				ResourceType: kafka.ResourceTypeTopic, ResourceName: right.Topic, ResourcePatternType: kafka.PatternTypeLiteral,
				Principal: "User:" + user, Host: "*", Operation: operation, PermissionType: kafka.ACLPermissionTypeAllow,
			}
			if right.Group != "" {
				e.ResourceType, e.ResourceName = kafka.ResourceTypeGroup, right.Group
			}
			if right.Prefix {
				e.ResourcePatternType = kafka.PatternTypePrefixed
			}
			all = append(all, e)
		}
	}
	return all
}

func (w *site) allow(t *testing.T, entries ...kafka.ACLEntry) {
	t.Helper()
	admin := w.settings.Kafka.Client()
	defer kafkaio.CloseIdle(admin)
	answer, err := admin.CreateACLs(t.Context(), &kafka.CreateACLsRequest{ACLs: entries})
	require.NoError(t, err)
	for _, err := range answer.Errors {
		require.NoError(t, err)
	}
	t.Cleanup(func() { w.disallow(t, entries...) })
}

func (w *site) disallow(t *testing.T, entries ...kafka.ACLEntry) {
	t.Helper()
	admin := w.settings.Kafka.Client()
	defer kafkaio.CloseIdle(admin)
	request := &kafka.DeleteACLsRequest{}
	for _, e := range entries {
		request.Filters = append(request.Filters, kafka.DeleteACLsFilter{
			ResourceTypeFilter: e.ResourceType, ResourceNameFilter: e.ResourceName, ResourcePatternTypeFilter: e.ResourcePatternType,
			PrincipalFilter: e.Principal, HostFilter: e.Host, Operation: e.Operation, PermissionType: e.PermissionType,
		})
	}
	answer, err := admin.DeleteACLs(context.WithoutCancel(t.Context()), request)
	require.NoError(t, err)
	for _, r := range answer.Results {
		require.NoError(t, r.Error)
	}
}

// grant gives a user the rights of parts at every server.
func (w *site) grant(t *testing.T, r rights, user string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		w.allow(t, r.acls(part, user)...)
		if redisRights := r[part].Redis; len(redisRights.Keys) > 0 && w.stack == nil {
			rules := []any{"ACL", "SETUSER", user, "resetkeys", "-@all"}
			for _, key := range redisRights.Keys {
				rules = append(rules, "~"+key)
			}
			for _, command := range slices.Concat(redisRights.Commands, redisRights.Writes) {
				rules = append(rules, "+"+command)
			}
			rdb := w.redis(t, w.settings)
			require.NoError(t, rdb.Do(t.Context(), rules...).Err())
			t.Cleanup(func() {
				ctx := context.WithoutCancel(t.Context())
				require.NoError(t, w.redis(t, w.settings).Do(ctx, "ACL", "SETUSER", user, "resetkeys", "-@all").Err())
			})
		}
		if w.stack != nil {
			var grants []milvus.Grant
			for _, right := range r[part].Milvus {
				for _, privilege := range right.Allow {
					grants = append(grants, milvus.Grant{ObjectType: right.Object, Object: right.Name, Privilege: privilege})
				}
			}
			w.stack.Milvus.RequireUserWith(user, w.users[user].Reveal(), grants...)
		} else if len(r[part].Milvus) > 0 {
			w.grantMilvus(t, r, user, part)
		}
	}
}

func (w *site) redis(t *testing.T, s settings.Settings) redis.UniversalClient {
	t.Helper()
	rdb, err := redisdb.Connect(context.WithoutCancel(t.Context()), s.Redis)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// cleanTopics removes the topics that the test made on a real Kafka.
func (w *site) cleanTopics(t *testing.T) {
	if w.stack != nil {
		return
	}
	t.Cleanup(func() {
		admin := w.settings.Kafka.Client()
		defer kafkaio.CloseIdle(admin)
		_, err := admin.DeleteTopics(context.WithoutCancel(t.Context()), &kafka.DeleteTopicsRequest{Topics: w.settings.Topics.Names()})
		require.NoError(t, err)
	})
}

// clean removes what the test made on real servers.
func (w *site) clean(t *testing.T) {
	w.cleanTopics(t)
	if w.stack != nil {
		return
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		rdb := w.redis(t, w.settings)
		for cursor := uint64(0); ; {
			keys, next, err := rdb.Scan(ctx, cursor, w.name+"*", 1000).Result()
			require.NoError(t, err)
			if len(keys) > 0 {
				require.NoError(t, rdb.Del(ctx, keys...).Err())
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
		root := w.milvusAs(t, "")
		_ = root.DropAlias(ctx, w.settings.Milvus.Alias)
		_ = root.DropCollection(ctx, w.settings.Milvus.Collection+"_"+modelID)
	})
}

func TestPermissionsOfTheFileAreEnough(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *site{"embedded": embeddedSite, "real": realSite} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.clean(t)
			log := new(recorder)
			r := readRights(t, w.name)
			for user, parts := range map[string][]string{
				"catalogue": {"catalogue"}, "interactions": {"interactions"}, "recommendations": {"recommendations"}, "recall": {"recall"},
				"operator": {"operator"}, "app": {"publisher", "asker"},
			} {
				w.grant(t, r, user, parts...)
			}
			_, err := topics.Ensure(t.Context(), w.as("operator").Kafka, w.settings.Topics)
			require.NoError(t, err)
			for _, role := range online.AllRoles() {
				start(t, w.as(string(role)), log.logger(), role)
			}
			stopRecall := start(t, w.as("recall"), log.logger(), online.Recall)
			throughAll(t, w.as("app"), w.as("app"), log.logger())
			for _, role := range online.AllRoles() {
				_, err := topics.Lag(t.Context(), w.as("operator").Kafka, role.Group(w.settings.Consumers.Group), w.settings.Topics.Items.Name)
				require.NoError(t, err)
			}
			w.publishesAgain(t, r, log)
			w.erases(t, log)
			w.refusesMore(t)
			stopRecall() // it is in no group, and ends where a right is missing
			w.missesEachRight(t, r)
			require.NotContains(t, log.String(), "NOPERM")
			require.NotContains(t, log.String(), "permission deny")
		})
	}
}

// publishesAgain has an item's older version come late, without the right that this takes at first. Without the right to read, a
// catalogue role that sees the topic waits, and says so.
func (w *site) publishesAgain(t *testing.T, r rights, log *recorder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	publisher, err := producers.NewEventPublisher(ctx, w.as("app").Producer(log.logger()))
	require.NoError(t, err)
	defer func() { require.NoError(t, publisher.Close(ctx)) }()
	all := r.acls("catalogue", "catalogue")
	write := all[slices.IndexFunc(all, func(e kafka.ACLEntry) bool {
		return e.Operation == kafka.ACLOperationTypeWrite && e.ResourceName == w.settings.Topics.Items.Name
	})]
	read := write
	read.Operation = kafka.ACLOperationTypeRead
	w.disallow(t, read)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "reading from Kafka failed, trying again") }, patience, 100*time.Millisecond)
	w.disallow(t, write)
	w.allow(t, read)
	for _, version := range []int64{5, 3} {
		_, err := publisher.PublishItem(ctx, &schemas.ItemChange{
			ItemID: "item-late", Op: schemas.UpsertItem, Version: version, OccurredAt: time.Now().Add(-time.Hour), Title: "title", Available: true,
		})
		require.NoError(t, err)
	}
	says := "grant the user of role catalogue Write on topic " + write.ResourceName
	require.Eventually(t, func() bool { return strings.Contains(log.String(), says) }, patience, 100*time.Millisecond)
	w.allow(t, write)
	require.Eventually(t, func() bool {
		lag, err := topics.Lag(ctx, w.as("operator").Kafka, online.Catalogue.Group(w.settings.Consumers.Group), w.settings.Topics.Items.Name)
		return err == nil && lag == 0
	}, patience, 100*time.Millisecond)
}

// erases has an operator erase the user who asked, and send dead letters back, with the operator's rights alone.
func (w *site) erases(t *testing.T, log *recorder) {
	t.Helper()
	s := w.as("operator")
	report, err := erasure.Erase(t.Context(), s, "ann", patience, log.logger())
	require.NoError(t, err)
	require.True(t, report.Confirmed, "%+v", report.Rows)
	beyond := []string{"memory of the roles", "role recall", "outside of Freshet"} // what no command can look at
	for _, row := range report.Rows {
		require.True(t, row.State != erasure.Unknown || slices.Contains(beyond, row.Where), "%+v", row)
	}
	require.Error(t, w.write(t, "app", stream.DeadLetterTopic(s.Topics.Interactions.Name)), "the product writes dead letters")
	require.NoError(t, w.write(t, "app", s.Topics.Interactions.Name)) // which is no event
	writer := kafkaio.NewWriter(s.Kafka, s.Writer, log.logger())
	defer func() { require.NoError(t, writer.Close(context.WithoutCancel(t.Context()))) }()
	letters := stream.NewDeadLetters(s.Kafka, writer)
	require.Eventually(t, func() bool {
		did, err := letters.Redrive(t.Context(), s.Topics.Interactions.Name, stream.Selection{Pending: true})
		require.NoError(t, err)
		return did.Republished == 1
	}, patience, 50*time.Millisecond)
}

// refusesMore tries what the rights do not hold.
func (w *site) refusesMore(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	of := w.settings.Topics
	for user, topic := range map[string]string{
		"interactions": of.Interactions.Name, "catalogue": of.Interactions.Name, "recommendations": of.Requests.Name, "app": of.Replies.Name,
		"nobody": of.Interactions.Name,
	} {
		require.Error(t, w.write(t, user, topic), "%s writes to %s", user, topic)
	}
	_, err := topics.Ensure(ctx, w.as("app").Kafka, w.otherTopics())
	require.Error(t, err, "the product makes topics")
	if w.stack == nil { // which the embedded Redis cannot refuse
		for _, user := range []string{"interactions", "catalogue", "recommendations", "operator"} {
			rdb := w.redis(t, w.as(user))
			require.Equal(t, secure.Denied, redisdb.ProblemOf(rdb.Get(ctx, "other:key").Err()), user)
			require.Equal(t, secure.Denied, redisdb.ProblemOf(rdb.FlushDB(ctx).Err()), user)
			if user == "recommendations" {
				require.Equal(t, secure.Denied, redisdb.ProblemOf(rdb.Set(ctx, w.name+":x", "v", 0).Err()), user)
			}
		}
	}
	index, err := candidates.Connect(ctx, w.as("recommendations").Milvus)
	require.NoError(t, err)
	defer func() { require.NoError(t, index.Close()) }()
	require.Equal(t, secure.Denied, candidates.ProblemOf(index.Delete(ctx, modelID, []string{"item-a"})))
	require.Equal(t, secure.Denied, candidates.ProblemOf(index.Ensure(ctx, "other", 16)))
}

// write tries to write one record.
func (w *site) write(t *testing.T, user, topic string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	writer := kafkaio.NewWriter(w.as(user).Kafka, w.settings.Writer, new(recorder).logger())
	defer func() { require.NoError(t, writer.Close(ctx)) }()
	_, err := writer.Write(ctx, kafkaio.Message{Topic: topic, Key: []byte("k"), Value: []byte("v")})
	return err
}

func (w *site) otherTopics() topics.Config {
	c := w.settings.Topics
	c.Items.Name += ".other"
	return c
}

// missesEachRight takes the Kafka rights of each role away, one at a time: then it must not start, or not without a word.
func (w *site) missesEachRight(t *testing.T, r rights) {
	t.Helper()
	for _, role := range append(online.AllRoles(), online.Recall) {
		for _, entry := range r.acls(string(role), string(role)) {
			if role == online.Recall && (entry.Operation == kafka.ACLOperationTypeWrite ||
				entry.Operation == kafka.ACLOperationTypeRead && entry.ResourceName == w.settings.Topics.Recall.Name) {
				continue // missed only where there is a window to tell of, or was one: TestRecallNeedsItsRightsOnItsTopic
			}
			if entry.Operation == kafka.ACLOperationTypeWrite && entry.ResourceName == w.settings.Topics.Items.Name {
				continue // missed only where an item's older version comes late: publishesAgain
			}
			if entry.Operation == kafka.ACLOperationTypeRead && entry.ResourceName == w.settings.Topics.Items.Name && role == online.Catalogue {
				continue // it may see the topic all the same, and waits for the right: publishesAgain
			}
			what := fmt.Sprintf("%s without %s on %s", role, entry.Operation, entry.ResourceName)
			w.disallow(t, entry)
			require.Eventually(t, func() bool { return w.fails(t, role) != nil }, patience, 100*time.Millisecond, what)
			err := w.fails(t, role)
			require.ErrorContains(t, err, entry.ResourceName, what)
			if !strings.Contains(err.Error(), "may not see them") {
				require.Equal(t, secure.Denied, kafkaio.ProblemOf(err), "%s: %v", what, err)
			}
			w.allow(t, entry)
			require.Eventually(t, func() bool { return w.fails(t, role) == nil }, patience, 100*time.Millisecond, "%s: again", role)
		}
	}
}

// fails starts a role in a group that has its members already and returns why it stopped by itself, if it does.
func (w *site) fails(t *testing.T, role online.Role) error {
	t.Helper()
	y, err := online.Open(t.Context(), w.as(string(role)), []online.Role{role}, new(recorder).logger())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	ready, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		_ = y.AwaitReady(ctx)
	}()
	defer func() { require.NoError(t, y.Close()) }()
	return y.Run(ready)
}
