#!/usr/bin/env bash
# Apicurio's compatibility check of an Avro schema with references: asking is refused, registering lets a reference change its type.
#
# Versions   Apicurio Registry 3.0.9 (its Confluent-compatible API, v7), Java 17.
# Guess      BACKWARD holds for the whole record, the types it refers to among it: a referenced field from long to string is a 409. And
#            what /compatibility says of a schema is what its registration will say.
# Behaviour  A registration's check resolves the registered version's references by the new one's, so both sides read the new type, and
#            what was changed by moving the reference to another version is not compared at all: long becomes string under BACKWARD and
#            FULL_TRANSITIVE. Only the record's own fields are compared. /compatibility leaves the request's references out and answers
#            422 "invalid Avro schema" to a schema whose registration is taken, so a build that asks first stops.
# Freshet    Its own schemas refer to nothing. A record is read by the references of the version that it names, and refused where that
#            cannot be read.
# Needs      Java 17 with Maven, Python 3, curl.
set -euo pipefail
work=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill "$registry"; wait; rm -rf "$work"' EXIT
cd "$work"
mvn -q -B dependency:copy -DoutputDirectory=. -Dartifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all >/dev/null
tar xzf apicurio-registry-app-3.0.9-all.tar.gz
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$port java -Xmx256m -Dquarkus.datasource.h2.jdbc.acquisition-timeout=60 \
  -Dapicurio.datasource.jdbc.initial-size=1 -Dapicurio.datasource.jdbc.min-size=1 -jar apicurio-registry-app-3.0.9-runner.jar >log 2>&1 &
registry=$!
export REGISTRY=http://127.0.0.1:$port/apis
curl -sf --retry 120 --retry-delay 1 --retry-all-errors "$REGISTRY/ccompat/v7/subjects" >empty
cat >ask.py <<'PY'
import json, os, urllib.error, urllib.request

def call(method, path, body=None):
    request = urllib.request.Request(os.environ["REGISTRY"] + path, method=method, headers={"Content-Type": "application/json"},
                                     data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)

def record(name, **fields):
    return json.dumps({"type": "record", "name": name, "fields": [
        {"name": field, "type": kind} if kind != "text" else {"name": field, "type": "string", "default": ""}
        for field, kind in fields.items()]})

def versions(subject, schema, version=None):
    references = [] if version is None else [{"name": "Money", "subject": "Money", "version": version}]
    asked = call("POST", f"/ccompat/v7/compatibility/subjects/{subject}/versions/latest", {"schema": schema, "references": references})
    taken = call("POST", f"/ccompat/v7/subjects/{subject}/versions", {"schema": schema, "references": references})
    return f"asked {asked[0]} {asked[1].get('is_compatible', asked[1].get('message'))}, registered {taken[0]}"

def level(subject, name):
    assert call("PUT", f"/ccompat/v7/config/{subject}", {"compatibility": name})[0] == 200

for kind in "long", "string":
    versions("Money", record("Money", amount=kind))
for name in "BACKWARD", "FULL_TRANSITIVE":
    plain, joined = f"plain-{name}", f"joined-{name}"
    versions(plain, record("Order", price="long"))
    versions(joined, record("Order", price="Money"), 1)
    level(plain, name), level(joined, name)
    print(name, "long to string:", versions(plain, record("Order", price="string")))
    print(name, "new field with a default, same references:", versions(joined, record("Order", price="Money", note="text"), 1))
    print(name, "new field without a default, same references:", versions(joined, record("Order", price="Money", note="text", sum="long"), 1))
    print(name, "reference from Money 1 (long) to Money 2 (string):", versions(joined, record("Order", price="Money", note="text"), 2))
PY
python3 ask.py | tee seen
cat >expected <<'SEEN'
BACKWARD long to string: asked 200 False, registered 409
BACKWARD new field with a default, same references: asked 422 Could not execute compatibility rule on invalid Avro schema, registered 200
BACKWARD new field without a default, same references: asked 422 Could not execute compatibility rule on invalid Avro schema, registered 409
BACKWARD reference from Money 1 (long) to Money 2 (string): asked 422 Could not execute compatibility rule on invalid Avro schema, registered 200
FULL_TRANSITIVE long to string: asked 200 False, registered 409
FULL_TRANSITIVE new field with a default, same references: asked 422 Could not execute compatibility rule on invalid Avro schema, registered 200
FULL_TRANSITIVE new field without a default, same references: asked 422 Could not execute compatibility rule on invalid Avro schema, registered 409
FULL_TRANSITIVE reference from Money 1 (long) to Money 2 (string): asked 422 Could not execute compatibility rule on invalid Avro schema, registered 200
SEEN
diff expected seen
