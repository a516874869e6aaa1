// Package producers is what a product team imports: EventPublisher tells Freshet what users did and how the catalogue
// changes, RecommendationClient asks it for recommendations.
//
//	publisher, err := producers.NewEventPublisher(ctx, producers.DefaultConfig())
//	…
//	position, err := publisher.PublishInteraction(ctx, &schemas.Interaction{…})
//
//	client, err := producers.NewRecommendationClient(ctx, producers.DefaultConfig())
//	…
//	reply, err := client.Recommend(ctx, &schemas.RecommendationRequest{UserID: "u1", Count: 10, SeenThrough: &position})
//
// It may import schemas, and its own kafkaio. What always holds in it:
//
//   - What makes no sense (schemas.Limits) is refused before it reaches Kafka, with an error that names field, value and
//     remedy.
//   - A record's key and partition are those that a Java producer would choose, so all events of a user are in one order.
//   - Publishing is at least once: an event that got an error may be in the log, and may be published again under the same
//     event id, which counts once.
//
// Product teams in other languages need no library: the topics carry Avro in Confluent's framing, and requests and replies
// follow Spring Kafka's ReplyingKafkaTemplate.
package producers
