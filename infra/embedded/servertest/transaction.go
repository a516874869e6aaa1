package servertest

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Transactions is a producer that writes in transactions, as Kafka Streams and Flink do.
type Transactions struct {
	k      *Kafka
	client *kgo.Client
}

// Transactions returns a producer that goes with the test; a transaction that is open then is aborted.
func (k *Kafka) Transactions() *Transactions {
	k.t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(k.addr), kgo.TransactionalID(k.Name(Name())), kgo.TransactionTimeout(30*time.Second),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond),
	)
	if err != nil {
		k.t.Fatal(err)
	}
	p := &Transactions{k: k, client: client}
	k.t.Cleanup(p.close)
	return p
}

// Write writes records, which are on the broker when it returns, within a transaction that it begins if none is open.
func (p *Transactions) Write(records ...*kgo.Record) {
	p.k.t.Helper()
	_ = p.client.BeginTransaction() // an error says that one is open
	if err := p.client.ProduceSync(p.k.t.Context(), records...).FirstErr(); err != nil {
		p.k.t.Fatal(err)
	}
}

// End commits or aborts the transaction.
func (p *Transactions) End(how kgo.TransactionEndTry) {
	p.k.t.Helper()
	if err := p.client.EndTransaction(p.k.t.Context(), how); err != nil {
		p.k.t.Fatal(err)
	}
}

func (p *Transactions) close() {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	_ = p.client.AbortBufferedRecords(ctx)
	_ = p.client.EndTransaction(ctx, kgo.TryAbort)
	p.client.Close()
}
