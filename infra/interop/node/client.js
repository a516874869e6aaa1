// Freshet from Node: kafkajs, with a schema registry or without. It publishes an item and events, asks for a page, and prints what it
// did, a line each. Run as: node client.js USER, with brokers, registry and topics in the environment.
'use strict'
const { randomUUID } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const avro = require('avsc')
const { SchemaRegistry } = require('@kafkajs/confluent-schema-registry')
const { Kafka, Partitioners, logLevel } = require('kafkajs')

const env = process.env
const topic = name => env['TOPIC_' + name.toUpperCase()]
const registry = env.FRESHET_REGISTRY_URL && new SchemaRegistry({ host: env.FRESHET_REGISTRY_URL })

// The schema of each topic, and the id under which it travels where there is no schema registry.
const contracts = {
  interactions: ['interaction.v1.avsc', 0x46520001],
  items: ['item_change.v1.avsc', 0x46520002],
  requests: ['recommendation_request.v2.avsc', 0x46520005],
  replies: ['recommendation_reply.v2.avsc', 0x46520007]
}
// Of versions before, which a role that is not upgraded yet still writes.
const earlier = { replies: [['recommendation_reply.v1.avsc', 0x46520004]] }

// What writes and reads the records of a topic: a zero byte, the schema id as four bytes, most significant first, Avro.
async function codec (name) {
  const [file, own] = contracts[name]
  const textOf = file => readFileSync(join(env.FRESHET_AVRO, file), 'utf8')
  const schema = textOf(file)
  if (registry) {
    const { id } = await registry.register({ type: 'AVRO', schema }, { subject: topic(name) + '-value' })
    return { encode: record => registry.encode(id, record), decode: value => registry.decode(value) }
  }
  const type = avro.Type.forSchema(JSON.parse(schema))
  const readers = new Map([[own, [type]]])
  for (const [file, id] of earlier[name] || []) {
    const writer = avro.Type.forSchema(JSON.parse(textOf(file)))
    readers.set(id, [writer, type.createResolver(writer)])
  }
  return {
    encode: async record => {
      const frame = Buffer.alloc(5)
      frame.writeUInt32BE(own, 1)
      return Buffer.concat([frame, type.toBuffer(record)])
    },
    decode: async value => {
      const id = value.readUInt32BE(1)
      if (!readers.has(id)) throw new Error(`schema id ${id} is unknown without a schema registry`)
      const [writer, resolver] = readers.get(id)
      return resolver ? type.fromBuffer(value.subarray(5), resolver) : writer.fromBuffer(value.subarray(5))
    }
  }
}

async function main (user) {
  const kafka = new Kafka({ brokers: env.FRESHET_KAFKA_BROKERS.split(','), logLevel: logLevel.ERROR })
  const [interactions, items, requests, replies] = await Promise.all(['interactions', 'items', 'requests', 'replies'].map(codec))
  // The default since kafkajs 2.0 puts a key where Java does; LegacyPartitioner does not.
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: true })
  await producer.connect()

  const send = async (name, key, value, headers) =>
    (await producer.send({ topic: topic(name), acks: -1, messages: [{ key, value, headers }] }))[0]
  await send('items', 'from-node-' + user, await items.encode({
    item_id: 'from-node-' + user, op: 'upsert', version: Date.now(), occurred_at: Date.now(), title: 'A kettle from Node', categories: ['Tea']
  }))
  for (const item of ['tea-1', 'tea-2', 'tea-3']) {
    const at = await send('interactions', user, await interactions.encode({
      event_id: randomUUID(), user_id: user, item_id: item, type: 'like', occurred_at: Date.now()
    }))
    if (item === 'tea-1') console.log('partition', at.partition)
  }

  // A group of this instance alone, since every instance must see its own replies.
  const consumer = kafka.consumer({ groupId: 'interop-' + user })
  await consumer.connect()
  await consumer.subscribe({ topic: topic('replies'), fromBeginning: false })
  const correlation = randomUUID()
  let joined, answered
  const assigned = new Promise(resolve => { joined = resolve })
  const answer = new Promise(resolve => { answered = resolve })
  consumer.on(consumer.events.FETCH_START, () => joined())
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (String(message.headers.kafka_correlationId) === correlation) answered(message)
    }
  })
  await assigned
  const request = await requests.encode({
    request_id: 'node-' + user, user_id: user, count: 40, deadline: Date.now() + 10_000
  })
  // A consumer that is new reads from the end as of its first fetch: the request is sent again until its reply is seen.
  const asking = setInterval(() => send('requests', user, request, { kafka_correlationId: correlation, kafka_replyTopic: topic('replies') }), 1000)
  const reply = await replies.decode((await answer).value)
  clearInterval(asking)
  console.log('reply', reply.request_id, reply.status)
  for (const place of reply.items) console.log('item', place.item_id)
  await consumer.disconnect()
  await producer.disconnect()
}

main(process.argv[2]).catch(error => {
  console.error(error)
  process.exit(1)
})
