package kafkaio

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fetcher reads partitions as a consumer with isolation.level=read_committed: records of transactions that were aborted, or are
// open, do not come. It may be used by several goroutines; a fetch has a connection to the partition's leader for itself while
// it is under way, since the broker may hold it for long.
//
// kafka-go's own Fetch would not do. It asks for the list of aborted transactions and then keeps it to itself; it hides where a
// batch ends, so nobody can tell a hole at the end of the log from a record that is still to come; and of a topic with
// LogAppendTime it gives the producer's time.
type Fetcher struct {
	cfg    Config
	dial   DialFunc
	client *kafka.Client // tells who leads what

	mu      sync.Mutex
	closed  bool
	idle    map[string][]*fetchConn // by address
	leaders map[place]leader
}

type place struct {
	topic     string
	partition int32
}

type leader struct {
	address string
	seen    time.Time
}

// FetchRequest asks for what a partition has from an offset on.
type FetchRequest struct {
	Topic     string
	Partition int32
	Offset    int64
	// MaxBytes bounds the answer, as the broker stores it; one record batch comes even if it is larger.
	MaxBytes int
	// MaxWait is how long the broker may hold the answer while there is nothing.
	MaxWait time.Duration
}

// NewFetcher returns a Fetcher that learns from client who leads a partition. After an error of Fetch have the client forget
// its view, with CloseIdle: the leader may have moved.
func (c Config) NewFetcher(client *kafka.Client) *Fetcher {
	return &Fetcher{
		cfg: c, dial: c.safely(c.dial), client: client, idle: map[string][]*fetchConn{}, leaders: map[place]leader{},
	}
}

// Fetch returns what the broker has at once, or waits for it up to MaxWait; then there may be nothing. With an error it may
// still have brought records: those before what could not be read.
func (f *Fetcher) Fetch(ctx context.Context, req FetchRequest) (Fetched, error) {
	at := place{req.Topic, req.Partition}
	fetched, err := f.fetch(ctx, at, req)
	if err != nil {
		f.mu.Lock()
		delete(f.leaders, at)
		f.mu.Unlock()
	}
	return fetched, err
}

func (f *Fetcher) fetch(ctx context.Context, at place, req FetchRequest) (Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, req.MaxWait+f.cfg.RequestTimeout)
	defer cancel()
	address, err := f.leader(ctx, at)
	if err != nil {
		return Fetched{}, err
	}
	for {
		conn, used, err := f.take(ctx, address)
		if err != nil {
			return Fetched{}, err
		}
		body, err := conn.roundTrip(ctx, conn.request(req), f.cfg.ClientID)
		if err == nil {
			f.put(address, conn)
			return decodeFetched(req, conn.version, body)
		}
		_ = conn.Close()
		switch {
		case ctx.Err() != nil:
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case used:
			continue // the broker may have closed it while it was idle
		}
		return Fetched{}, fmt.Errorf("fetching from %s: %w", address, err)
	}
}

// Close gives the idle connections back now, and others once their fetch is over.
func (f *Fetcher) Close() {
	f.mu.Lock()
	idle := f.idle
	f.idle, f.closed = nil, true
	f.mu.Unlock()
	for _, conns := range idle {
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

// leader returns the address of the broker that leads a partition.
func (f *Fetcher) leader(ctx context.Context, at place) (string, error) {
	f.mu.Lock()
	known := f.leaders[at]
	f.mu.Unlock()
	if known.address != "" && time.Since(known.seen) < f.cfg.MetadataTTL {
		return known.address, nil
	}
	resp, err := f.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{at.topic}})
	if err != nil {
		return "", fmt.Errorf("asking the brokers at %s for metadata: %w", f.client.Addr, err)
	}
	address, err := leaderOf(resp, at)
	if err != nil {
		return "", fmt.Errorf("asking who leads %s/%d: %w", at.topic, at.partition, err)
	}
	f.mu.Lock()
	f.leaders[at] = leader{address, time.Now()}
	f.mu.Unlock()
	return address, nil
}

func leaderOf(resp *kafka.MetadataResponse, at place) (string, error) {
	for _, t := range resp.Topics {
		if t.Name != at.topic {
			continue
		}
		if t.Error != nil {
			return "", t.Error
		}
		for _, p := range t.Partitions {
			switch {
			case p.ID != int(at.partition):
			case p.Leader.Host == "":
				return "", kafka.LeaderNotAvailable
			default:
				return net.JoinHostPort(p.Leader.Host, fmt.Sprint(p.Leader.Port)), nil
			}
		}
	}
	return "", kafka.UnknownTopicOrPartition
}

// take returns an idle connection, which was used before, or makes one.
func (f *Fetcher) take(ctx context.Context, address string) (c *fetchConn, used bool, err error) {
	f.mu.Lock()
	if n := len(f.idle[address]); n > 0 {
		c := f.idle[address][n-1]
		f.idle[address] = f.idle[address][:n-1]
		f.mu.Unlock()
		return c, true, nil
	}
	f.mu.Unlock()
	dialling, cancel := context.WithTimeout(ctx, f.cfg.DialTimeout)
	defer cancel()
	conn, err := f.dial(dialling, "tcp", address)
	if err != nil {
		return nil, false, err
	}
	c, err = agreeOnFetch(dialling, conn, f.cfg.ClientID)
	if err != nil {
		_ = conn.Close()
		return nil, false, fmt.Errorf("asking %s for its versions: %w", address, err)
	}
	return c, false, nil
}

func (f *Fetcher) put(address string, c *fetchConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		_ = c.Close()
		return
	}
	f.idle[address] = append(f.idle[address], c)
}

// The versions of Fetch: from the one that knows transactions (Kafka 0.11) to the last that names topics rather than ids in
// plain fields (Kafka 2.3). Brokers do not send zstd below 10.
const (
	leastFetchVersion, mostFetchVersion = 4, 11
	// mostResponse refuses what is no answer of a broker, such as an HTTP server's.
	mostResponse = 1 << 29
)

// fetchConn is a connection with one request at a time on it.
type fetchConn struct {
	net.Conn
	version     int16
	correlation int32
	buffer      []byte
}

// agreeOnFetch finds out which version of Fetch the broker speaks.
func agreeOnFetch(ctx context.Context, conn net.Conn, clientID string) (*fetchConn, error) {
	defer expire(ctx, conn)()
	// The reader of pc may not take more than the answer: a broker sends nothing unasked.
	pc := protocol.NewConn(conn, clientID)
	answer, err := pc.RoundTrip(&apiversions.Request{})
	if err != nil {
		return nil, err
	}
	versions, ok := answer.(*apiversions.Response)
	if !ok {
		return nil, fmt.Errorf("the answer is a %T", answer)
	}
	if versions.ErrorCode != 0 {
		return nil, kafka.Error(versions.ErrorCode)
	}
	for _, v := range versions.ApiKeys {
		if v.ApiKey == int16(protocol.Fetch) && v.MinVersion <= mostFetchVersion && v.MaxVersion >= leastFetchVersion {
			return &fetchConn{Conn: conn, version: min(v.MaxVersion, mostFetchVersion)}, nil
		}
	}
	return nil, fmt.Errorf("the broker speaks no version of Fetch from %d to %d: use one of Kafka 0.11 or later",
		leastFetchVersion, mostFetchVersion)
}

// request is req in the connection's version.
func (c *fetchConn) request(req FetchRequest) kmsg.Request {
	partition := kmsg.NewFetchRequestTopicPartition()
	partition.Partition, partition.FetchOffset, partition.PartitionMaxBytes = req.Partition, req.Offset, int32(req.MaxBytes)
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.Partitions = req.Topic, []kmsg.FetchRequestTopicPartition{partition}
	r := kmsg.NewPtrFetchRequest()
	r.ReplicaID = -1
	r.MaxWaitMillis, r.MinBytes, r.MaxBytes = int32(req.MaxWait.Milliseconds()), 1, mostResponse // of one partition
	r.IsolationLevel = int8(kafka.ReadCommitted)
	r.SessionID, r.SessionEpoch = 0, -1 // no session (KIP-227): it saves nothing for one partition
	r.Topics = []kmsg.FetchRequestTopic{topic}
	r.SetVersion(c.version)
	return r
}

// roundTrip returns the body of the answer. After an error the connection is of no more use.
func (c *fetchConn) roundTrip(ctx context.Context, req kmsg.Request, clientID string) ([]byte, error) {
	defer expire(ctx, c)()
	c.correlation++
	c.buffer = kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(c.buffer[:0], req, c.correlation)
	if _, err := c.Write(c.buffer); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	size, correlation := int32(binary.BigEndian.Uint32(head[:])), int32(binary.BigEndian.Uint32(head[4:]))
	switch {
	case size < 4 || size > mostResponse:
		return nil, fmt.Errorf("an answer of %d bytes is none of Kafka's", size)
	case correlation != c.correlation:
		return nil, fmt.Errorf("the answer is to request %d, not to %d", correlation, c.correlation)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	return body, c.SetDeadline(time.Time{})
}

// expire has a connection fail once ctx ends, until the function that it returns is called.
func expire(ctx context.Context, conn net.Conn) (stop func()) {
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	unhook := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { unhook() }
}
