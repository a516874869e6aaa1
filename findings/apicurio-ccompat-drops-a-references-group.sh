#!/usr/bin/env bash
# Apicurio's Confluent-compatible API names a reference without its group: a client that follows it gets another type of that name.
#
# Versions   Apicurio Registry 3.0.9, Java 17.
# Guess      A registry that has groups either tells a reference's group in its Confluent-compatible answers, say in the subject's name, or
#            refuses to show such a schema there. And `references=DEREFERENCE`, which puts the references' text in place, works by
#            whichever id a message carries.
# Behaviour  The reference is shown as {name, subject, version}; the subject is looked up in the group default. If that has an artifact of
#            the same name, its type is what every Confluent client decodes by: here a string where a long was written. If not, 404. By
#            globalId the registry itself dereferences right; by contentId, which 3.x serializers and the Confluent-compatible ids use, the
#            parameter is taken and does nothing.
# Freshet    Asks Apicurio's own API: which version has the content, and by its globalId the text with the references in it (schemas).
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

def create(group, name, schema, references=()):
    status, made = call("POST", f"/registry/v3/groups/{group}/artifacts", {"artifactId": name, "artifactType": "AVRO", "firstVersion": {
        "content": {"content": schema, "contentType": "application/json", "references": list(references)}}})
    assert status == 200, made
    return made["version"]

create("default", "Money", record("Money", amount="string"))
create("shop", "Money", record("Money", amount="long"))
create("shop", "Price", record("Price", amount="long"))
def refer(name):
    return create("default", f"order-{name}", record("Order", price=name), [{"groupId": "shop", "artifactId": name, "version": "1", "name": name}])

for name in "Money", "Price":
    order = refer(name)
    _, shown = call("GET", f"/ccompat/v7/subjects/order-{name}/versions/1")
    print("refers to shop's", name + ", shown as", shown["references"])
    reference = shown["references"][0]
    status, found = call("GET", f"/ccompat/v7/subjects/{reference['subject']}/versions/{reference['version']}")
    print("which is", status, found.get("schema", found.get("message")))
    for ids, number in ("globalIds", order["globalId"]), ("contentIds", order["contentId"]):
        print("dereferenced by", ids + ":", call("GET", f"/registry/v3/ids/{ids}/{number}?references=DEREFERENCE")[1]["fields"][0]["type"])
PY
python3 ask.py | tee seen
cat >expected <<'SEEN'
refers to shop's Money, shown as [{'name': 'Money', 'subject': 'Money', 'version': 1}]
which is 200 {"type": "record", "name": "Money", "fields": [{"name": "amount", "type": "string"}]}
dereferenced by globalIds: {'type': 'record', 'name': 'Money', 'fields': [{'name': 'amount', 'type': 'long'}]}
dereferenced by contentIds: Money
refers to shop's Price, shown as [{'name': 'Price', 'subject': 'Price', 'version': 1}]
which is 404 No artifact with ID 'Price' in group 'null' was found.
dereferenced by globalIds: {'type': 'record', 'name': 'Price', 'fields': [{'name': 'amount', 'type': 'long'}]}
dereferenced by contentIds: Price
SEEN
diff expected seen
