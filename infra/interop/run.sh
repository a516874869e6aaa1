#!/usr/bin/env bash
# The clients in Python, Java and Node against `freshet run`: on the servers that FRESHET_KAFKA_BROKERS, FRESHET_REDIS_ADDRESSES and
# FRESHET_MILVUS_ADDRESS name, or embedded. Needs python3 and PyPI, and java, mvn, node and npm for the clients in these languages, whose
# tests skip otherwise; everything goes into .cache. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=$PWD/.cache/interop
if ! cmp -s infra/interop/requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r infra/interop/requirements.txt
  cp infra/interop/requirements.txt "$venv/"
fi
java=$PWD/.cache/interop-java
if command -v java >/dev/null && command -v mvn >/dev/null && ! cmp -s infra/interop/java/pom.xml "$java/pom.xml"; then
  rm -rf "$java"
  mvn -q -B -f infra/interop/java/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$java/lib"
  cp infra/interop/java/pom.xml "$java/"
fi
node=$PWD/.cache/interop-node
if command -v node >/dev/null && command -v npm >/dev/null && ! cmp -s infra/interop/node/package.json "$node/.installed"; then
  rm -rf "$node" && mkdir -p "$node"
  cp infra/interop/node/package.json "$node/"
  (cd "$node" && npm install --no-audit --no-fund --silent --ignore-scripts)
  cp infra/interop/node/package.json "$node/.installed"
fi
go build -o .cache/freshet .
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/pytest" -p no:cacheprovider -q infra/interop "$@"
