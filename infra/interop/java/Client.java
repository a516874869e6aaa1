import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;

/**
 * Freshet from Java: Spring Kafka with Apicurio's Avro serializer. It publishes an item and events, some of them in transactions, asks
 * for a page with ReplyingKafkaTemplate, and prints what it did, a line each. Run as: java -cp 'LIB/*' Client.java USER, with brokers,
 * registry and topics in the environment.
 */
public class Client {
  static final String BROKERS = System.getenv("FRESHET_KAFKA_BROKERS");
  // Apicurio's own API; Freshet's registry.url ends in /apis/ccompat/v7.
  static final String REGISTRY = System.getenv("FRESHET_REGISTRY_URL").replaceFirst("/apis/ccompat/v\\d+/?$", "/apis/registry/v3");
  static final Path AVRO = Path.of(System.getenv("FRESHET_AVRO"));

  static String topic(String name) {
    return System.getenv("TOPIC_" + name.toUpperCase());
  }

  static Schema schema(String file) throws Exception {
    return new Schema.Parser().parse(Files.readString(AVRO.resolve(file)));
  }

  static GenericData.EnumSymbol symbol(Schema record, String field, String value) {
    return new GenericData.EnumSymbol(record.getField(field).schema(), value);
  }

  /** The settings of a producer. The key is the bare id, and the partitioner Kafka's own. */
  static Map<String, Object> producer(Map<String, Object> more) {
    Map<String, Object> settings = new HashMap<>(Map.of(
        "bootstrap.servers", BROKERS, "acks", "all",
        "key.serializer", StringSerializer.class, "value.serializer", AvroKafkaSerializer.class,
        "apicurio.registry.url", REGISTRY));
    settings.putAll(more);
    return settings;
  }

  static GenericRecord event(Schema s, String user, String item) {
    return new GenericRecordBuilder(s)
        .set("event_id", UUID.randomUUID().toString()).set("user_id", user).set("item_id", item)
        .set("type", symbol(s, "type", "like")).set("occurred_at", System.currentTimeMillis()).build();
  }

  public static void main(String[] args) throws Exception {
    String user = args[0];
    publish(user);
    ask(user);
    System.exit(0); // Apicurio's client keeps threads
  }

  static void publish(String user) throws Exception {
    Schema interaction = schema("interaction.v1.avsc"), item = schema("item_change.v1.avsc");
    // Registers the schema as the serializer takes it to pieces: nested types apart, joined by references.
    var factory = new DefaultKafkaProducerFactory<String, Object>(producer(Map.of("apicurio.registry.auto-register", "true")));
    var template = new KafkaTemplate<>(factory);
    var change = new GenericRecordBuilder(item)
        .set("item_id", "from-java-" + user).set("op", symbol(item, "op", "upsert")).set("version", System.currentTimeMillis())
        .set("occurred_at", System.currentTimeMillis()).set("title", "A kettle from Java").set("categories", List.of("Tea")).build();
    template.send(topic("items"), "from-java-" + user, change).get();
    var sent = template.send(topic("interactions"), user, event(interaction, user, "tea-1")).get();
    System.out.println("partition " + sent.getRecordMetadata().partition());
    template.send(topic("interactions"), user + "-headers", null).get(); // a tombstone
    factory.destroy();

    var inHeaders = new DefaultKafkaProducerFactory<String, Object>(producer(Map.of(
        "apicurio.registry.auto-register", "true", "apicurio.registry.headers.enabled", "true")));
    new KafkaTemplate<>(inHeaders).send(topic("interactions"), user, event(interaction, user, "tea-2")).get();
    inHeaders.destroy();

    var transactional = new DefaultKafkaProducerFactory<String, Object>(producer(Map.of("apicurio.registry.auto-register", "true")));
    transactional.setTransactionIdPrefix("interop-" + user + "-");
    var transactions = new KafkaTemplate<>(transactional);
    try {
      transactions.executeInTransaction(t -> {
        t.send(topic("interactions"), user, event(interaction, user, "coffee-9")).join();
        throw new IllegalStateException("the order was called off");
      });
    } catch (IllegalStateException aborted) {
      System.out.println("aborted");
    }
    var committed = transactions.executeInTransaction(t -> t.send(topic("interactions"), user, event(interaction, user, "tea-3")).join());
    System.out.println("offset " + committed.getRecordMetadata().offset());
    transactional.destroy();
  }

  static void ask(String user) throws Exception {
    // find-latest takes the version that Freshet has registered: Apicurio's check of compatibility cannot read nested references.
    var requests = new DefaultKafkaProducerFactory<String, Object>(producer(Map.of("apicurio.registry.find-latest", "true")));
    var replies = new DefaultKafkaConsumerFactory<String, Object>(Map.of(
        "bootstrap.servers", BROKERS, "auto.offset.reset", "latest",
        "key.deserializer", StringDeserializer.class, "value.deserializer", AvroKafkaDeserializer.class, "apicurio.registry.url", REGISTRY));
    var place = new ContainerProperties(topic("replies"));
    place.setGroupId("interop-" + user); // of this instance alone: every instance must see its own replies
    var container = new KafkaMessageListenerContainer<>(replies, place);
    var asking = new ReplyingKafkaTemplate<String, Object, Object>(requests, container);
    asking.setSharedReplyTopic(true); // replies to others are passed over
    asking.setDefaultReplyTimeout(Duration.ofSeconds(15));
    asking.start();
    if (!asking.waitForAssignment(Duration.ofSeconds(20))) {
      throw new IllegalStateException("no partition of the replies");
    }
    Schema s = schema("recommendation_request.v2.avsc");
    var request = new GenericRecordBuilder(s).set("request_id", "java-" + user).set("user_id", user).set("count", 40)
        .set("deadline", System.currentTimeMillis() + 10_000).build();
    var reply = (GenericRecord) asking.sendAndReceive(new ProducerRecord<String, Object>(topic("requests"), user, request)).get().value();
    System.out.println("reply " + reply.get("request_id") + " " + reply.get("status"));
    for (Object place_ : (List<?>) reply.get("items")) {
      System.out.println("item " + ((GenericRecord) place_).get("item_id"));
    }
    asking.stop();
    requests.destroy();
  }
}
