#!/usr/bin/env bash
# kafkajs's registry client: register() also writes the subject's compatibility level, or refuses because of it.
#
# Versions   @kafkajs/confluent-schema-registry 4.1.0, Apicurio Registry 3.0.9 (its Confluent-compatible API, v7), Java 17, Node 20.
# Guess      A producer's register() posts the schema, and the registry checks it by the level that its owner has set.
# Behaviour  register() asks GET /config/SUBJECT first. 404, as for a new subject, makes it PUT its own default after the registration:
#            under a global FULL_TRANSITIVE the subject is loosened to BACKWARD by its first producer. Any other level than BACKWARD is an
#            error before anything is sent, though the schema is registered already, unless the caller names that level. At Apicurio a
#            subject that somebody else made has level "NONE" (it follows the global one): so the default refuses it, and naming the
#            level that really applies refuses it too; only NONE goes. updateConfig: false stops the writing, not the refusing.
# Freshet    Reads by the schema that a record names, whatever the subject's level.
# Needs      Java 17 with Maven, Node 20, Python 3, curl.
set -euo pipefail
work=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill "$registry"; wait; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --no-progress @kafkajs/confluent-schema-registry@4.1.0 >/dev/null
mvn -q -B dependency:copy -DoutputDirectory=. -Dartifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all >/dev/null
tar xzf apicurio-registry-app-3.0.9-all.tar.gz
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$port java -Xmx256m -Dquarkus.datasource.h2.jdbc.acquisition-timeout=60 \
  -Dapicurio.datasource.jdbc.initial-size=1 -Dapicurio.datasource.jdbc.min-size=1 -jar apicurio-registry-app-3.0.9-runner.jar >log 2>&1 &
registry=$!
export REGISTRY=http://127.0.0.1:$port/apis
curl -sf --retry 120 --retry-delay 1 --retry-all-errors "$REGISTRY/ccompat/v7/subjects" >empty
cat >ask.js <<'JS'
const { SchemaRegistry, SchemaType } = require('@kafkajs/confluent-schema-registry');
const base = process.env.REGISTRY + '/ccompat/v7';
const registry = new SchemaRegistry({ host: base, retry: { retries: 0 } });
const schema = name => JSON.stringify({ type: 'record', name, namespace: 'shop', fields: [{ name: 'at', type: 'long' }] });
const call = async (method, path, body) => (await fetch(base + path,
  { method, body: body && JSON.stringify(body), headers: { 'Content-Type': 'application/json' } })).json();
const level = async subject => (await call('GET', `/config/${subject}`)).compatibilityLevel;
const register = async (name, options) => {
  try {
    await registry.register({ type: SchemaType.AVRO, schema: schema(name) }, { subject: name, ...options });
    return 'registered';
  } catch (err) { return err.message; }
};
(async () => {
  await call('PUT', '/config', { compatibility: 'FULL_TRANSITIVE' });
  console.log('new subject:', await register('Click'), '| its level now:', await level('Click'));
  console.log('with updateConfig false:', await register('View', { updateConfig: false }), '| its level now:', await level('View'));
  await call('POST', '/subjects/Order/versions', { schema: schema('Order') });
  for (const options of [{}, { updateConfig: false }, { compatibility: undefined }, { compatibility: 'FULL_TRANSITIVE' }, { compatibility: 'NONE' }])
    console.log("another's subject,", options, await register('Order', options));
})();
JS
node ask.js | tee seen
cat >expected <<'SEEN'
new subject: registered | its level now: BACKWARD
with updateConfig false: registered | its level now: NONE
another's subject, {} Compatibility does not match the configuration (BACKWARD != NONE)
another's subject, { updateConfig: false } Compatibility does not match the configuration (BACKWARD != NONE)
another's subject, { compatibility: undefined } Compatibility does not match the configuration (undefined != NONE)
another's subject, { compatibility: 'FULL_TRANSITIVE' } Compatibility does not match the configuration (FULL_TRANSITIVE != NONE)
another's subject, { compatibility: 'NONE' } registered
SEEN
diff expected seen
