package faults

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/local"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
)

// fault is one case.
type fault struct {
	name string
	// prepare changes what the roles connect to; may be nil.
	prepare func(w *world, s *settings.Settings)
	// strike does harm, heal ends it. Both may take their time. heal may be nil: then strike says when all was well again, but for
	// the roles, in healedAt.
	strike, heal func(l *load)
	// hold is how long the harm lasts.
	hold time.Duration
	// within bounds the recovery, late the replies that may come late.
	within time.Duration
	late   int
	// says is what degraded replies name at least once; "" where replies need not be degraded.
	says string
	// logs is what the roles' log has; "" for anything.
	logs string
	// maybeLost says that a server may lose what it had not passed on to its replica when it died: then a rebuild brings it back.
	maybeLost bool
}

// warmUp is how long all is well before the fault.
const warmUp = 2 * time.Second

func (f *fault) run(t *testing.T) {
	w := newWorld(t, f.prepare)
	l := newLoad(w)
	w.startAll()
	l.fillShop()
	w.drain()
	l.start()
	defer func() {
		if t.Failed() {
			t.Log(l.state())
		}
	}()
	time.Sleep(warmUp)
	w.eventually("good health before the fault", l.healthy)

	struck := time.Now()
	f.strike(l)
	time.Sleep(f.hold)
	if f.heal != nil {
		f.heal(l)
	}
	healed := time.Now()
	if f.heal == nil {
		healed = l.healedAt
	}
	v := &verdict{fault: f.name, recovered: l.awaitRecovery().Sub(healed)}
	w.alive()
	l.stop()
	w.drain()
	l.awaitReplies()
	v.count(l.since(struck))
	defer v.enter(t)
	if f.maybeLost {
		t.Log(l.command("rebuild", "candidates"))
		t.Log(l.command("rebuild", "profiles"))
	}
	l.judge(v)

	require.Zero(t, v.lost, "requests without a reply")
	require.Zero(t, v.eventsLost)
	require.Zero(t, v.eventsDoubled)
	require.Zero(t, l.unsure, "what was published came through in the end")
	require.LessOrEqual(t, v.recovered, f.within)
	require.LessOrEqual(t, v.late, f.late)
	require.Contains(t, w.log(), f.logs)
	if f.says != "" {
		require.NotZero(t, v.reasons[f.says], "degraded replies say so: %v", v.reasons)
	}
}

func kill(name string) func(*load) {
	return func(l *load) { require.NoError(l.t, servers.Kill(name)) }
}

func stop(name string) func(*load) {
	return func(l *load) { require.NoError(l.t, servers.Stop(name)) }
}

// hang keeps a server's connections open and answers nothing, as a network that is half open does.
func hang(name string) func(*load) {
	return func(l *load) { require.NoError(l.t, servers.Pause(name)) }
}

func resume(name string) func(*load) {
	return func(l *load) { require.NoError(l.t, servers.Resume(name)) }
}

func start(name string) func(*load) {
	return func(l *load) { require.NoError(l.t, servers.Start(l.t.Context(), name)) }
}

// killRole kills a role in the middle of its work; heal starts it again, as whatever supervises it would.
func killRole(role online.Role) func(*load) {
	return func(l *load) { l.end(role, syscall.SIGKILL) }
}

func startRole(role online.Role) func(*load) { return func(l *load) { l.world.start(role) } }

func emptyRedis(l *load) {
	rdb := l.redis()
	require.NoError(l.t, rdb.FlushAll(l.t.Context()).Err())
	require.NoError(l.t, rdb.Close())
}

func rebuildAll(l *load) {
	l.t.Log(l.command("rebuild", "candidates"))
	l.t.Log(l.command("rebuild", "profiles"))
}

// memory bounds Redis; what would need more is answered with an OOM error.
func memory(limit string) func(*load) {
	return func(l *load) {
		rdb := l.redis()
		require.NoError(l.t, rdb.ConfigSet(l.t.Context(), "maxmemory", limit).Err())
		require.NoError(l.t, rdb.ConfigSet(l.t.Context(), "maxmemory-policy", "noeviction").Err())
		require.NoError(l.t, rdb.Close())
	}
}

func cluster(_ *world, s *settings.Settings) {
	s.Redis.Addresses = servers.Description().Redis.Cluster
}

const (
	sessionTimeout = 10 * time.Second // after which a dead member is missed
	lateForSession = int((sessionTimeout + 8*time.Second) / time.Second * requestRate)
)

var cases = []fault{
	{
		name: "interactions role, kill -9", strike: killRole(online.Interactions), heal: startRole(online.Interactions),
		within: 25 * time.Second, late: 5,
	},
	{
		name: "catalogue role, kill -9", strike: killRole(online.Catalogue), heal: startRole(online.Catalogue),
		within: 25 * time.Second, late: 5,
	},
	{
		name: "recommendations role, kill -9", strike: killRole(online.Recommendations), heal: startRole(online.Recommendations),
		within: 25 * time.Second, late: lateForSession,
	},
	{
		name: "Kafka stopped for 20 s", strike: stop(local.Kafka), heal: start(local.Kafka), hold: 20 * time.Second,
		within: 40 * time.Second, late: lateForSession,
	},
	{
		name: "Kafka, kill -9", strike: kill(local.Kafka), heal: start(local.Kafka),
		within: 40 * time.Second, late: lateForSession,
	},
	{ // a proxy does not stand before Kafka, whose brokers tell their clients where to connect
		name: "Kafka hangs for 8 s", strike: hang(local.Kafka), heal: resume(local.Kafka), hold: 8 * time.Second,
		within: 40 * time.Second, late: lateForSession,
	},
	{
		name: "Redis stopped for 10 s", strike: stop(local.Redis), heal: start(local.Redis), hold: 10 * time.Second,
		within: 15 * time.Second, late: 10, says: "degraded: user_profile",
	},
	{
		name: "Redis, kill -9", strike: kill(local.Redis), heal: start(local.Redis),
		within: 15 * time.Second, late: 10,
	},
	{
		name: "Redis emptied; rebuild candidates, rebuild profiles", strike: emptyRedis, heal: rebuildAll, hold: 3 * time.Second,
		within: 15 * time.Second, late: 10, says: "degraded: user_profile",
	},
	{
		name: "Redis out of memory for 5 s", strike: memory("1mb"), heal: memory("0"), hold: 5 * time.Second,
		within: 15 * time.Second, late: 5,
	},
	{
		name: "Milvus, kill -9", strike: kill(local.Milvus), heal: start(local.Milvus), hold: 3 * time.Second,
		within: 40 * time.Second, late: 10, says: "degraded: candidate_index",
	},
	{
		name: "one of three Redis Cluster masters, kill -9", prepare: cluster, strike: kill("redis-cluster-2"),
		heal: start("redis-cluster-2"), hold: 5 * time.Second, within: 20 * time.Second, late: 20,
	},
}

// network is what may stand between the roles and a server.
type network struct{ p *proxy }

func (n *network) redis(w *world, s *settings.Settings) {
	n.p = newProxy(w.t, s.Redis.Addresses[0])
	s.Redis.Addresses = []string{n.p.Listen}
}

func (n *network) milvus(w *world, s *settings.Settings) {
	n.p = newProxy(w.t, s.Milvus.Address)
	s.Milvus.Address = n.p.Listen
}

func (n *network) slow(*load)     { n.p.add("latency", attributes{"latency": 100, "jitter": 50}) } // each way
func (n *network) halfOpen(*load) { n.p.add("timeout", attributes{"timeout": 0}) }
func (n *network) cut(*load)      { n.p.cut() }
func (n *network) heal(*load)     { n.p.heal() }
func (n *network) restart(*load)  { n.p.restart() }

func networkCases() []fault {
	var list []fault
	for _, server := range []struct {
		name    string
		prepare func(*network, *world, *settings.Settings)
		says    string
	}{
		{"Redis", (*network).redis, "degraded: user_profile"},
		{"Milvus", (*network).milvus, "degraded: candidate_index"},
	} {
		for _, harm := range []struct {
			name         string
			strike, heal func(*network, *load)
			says         bool
		}{
			{"200 ms away", (*network).slow, (*network).heal, false},
			{"cut off", (*network).cut, (*network).restart, true},
			{"half open", (*network).halfOpen, (*network).heal, true},
		} {
			n := &network{}
			f := fault{
				name: server.name + " " + harm.name + " for 5 s", hold: 5 * time.Second, within: 20 * time.Second, late: 20,
				prepare: func(w *world, s *settings.Settings) { server.prepare(n, w, s) },
				strike:  func(l *load) { harm.strike(n, l) }, heal: func(l *load) { harm.heal(n, l) },
			}
			if harm.says {
				f.says = server.says
			}
			list = append(list, f)
		}
	}
	return list
}

func TestFaults(t *testing.T) {
	for _, f := range slices.Concat(cases, networkCases(), clusterCases()) {
		t.Run(f.name, f.run)
	}
}
