#!/usr/bin/env bash
# Apicurio's Confluent-compatible API says that a subject's compatibility level is NONE, and refuses the next version as incompatible.
#
# Versions   Apicurio Registry 3.0.9 (its Confluent-compatible API, v7), Java 17.
# Guess      GET /config/SUBJECT gives the subject's own level, or 404 with 40408 if it has none and follows the global one, as Confluent's
#            registry does. PUT NONE turns the check off for this subject.
# Behaviour  A subject without a level of its own is answered by 200 NONE, while the global BACKWARD is what its versions are checked by;
#            only ?defaultToGlobal=true tells. PUT NONE deletes the subject's rule, so after "NONE" the global level applies again: there is
#            no way to loosen one subject below the global level, and every answer says that it was. A level cannot be set before the
#            first version either: 404.
# Freshet    Asks Apicurio's own API whether a subject has a rule before it gives it a level (schemas).
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

subject = "/ccompat/v7/subjects/clicks/versions"
def show(what, answer):
    status, body = answer
    print(what + ":", status, body.get("compatibilityLevel", body.get("error_code", "taken")))

show("global BACKWARD", call("PUT", "/ccompat/v7/config", {"compatibility": "BACKWARD"}))
show("clicks NONE before its first version", call("PUT", "/ccompat/v7/config/clicks", {"compatibility": "NONE"}))
show("first version", call("POST", subject, {"schema": record("Click", at="long")}))
show("level", call("GET", "/ccompat/v7/config/clicks"))
show("level, defaultToGlobal=true", call("GET", "/ccompat/v7/config/clicks?defaultToGlobal=true"))
show("incompatible version", call("POST", subject, {"schema": record("Click", at="long", item="long")}))
show("clicks FULL", call("PUT", "/ccompat/v7/config/clicks", {"compatibility": "FULL"}))
show("clicks NONE", call("PUT", "/ccompat/v7/config/clicks", {"compatibility": "NONE"}))
show("level", call("GET", "/ccompat/v7/config/clicks"))
show("incompatible version", call("POST", subject, {"schema": record("Click", at="long", item="long")}))
show("global NONE", call("PUT", "/ccompat/v7/config", {"compatibility": "NONE"}))
show("incompatible version", call("POST", subject, {"schema": record("Click", at="long", item="long")}))
PY
python3 ask.py | tee seen
cat >expected <<'SEEN'
global BACKWARD: 200 BACKWARD
clicks NONE before its first version: 404 40401
first version: 200 taken
level: 200 NONE
level, defaultToGlobal=true: 200 BACKWARD
incompatible version: 409 409
clicks FULL: 200 FULL
clicks NONE: 200 NONE
level: 200 NONE
incompatible version: 409 409
global NONE: 200 NONE
incompatible version: 200 taken
SEEN
diff expected seen
