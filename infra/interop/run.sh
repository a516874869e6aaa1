#!/usr/bin/env bash
# The Python client against `freshet run`: on the servers that FRESHET_KAFKA_BROKERS, FRESHET_REDIS_ADDRESSES and
# FRESHET_MILVUS_ADDRESS name, or embedded. Needs python3 and PyPI; everything goes into .cache. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=$PWD/.cache/interop
if ! cmp -s infra/interop/requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r infra/interop/requirements.txt
  cp infra/interop/requirements.txt "$venv/"
fi
go build -o .cache/freshet .
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/pytest" -p no:cacheprovider -q infra/interop "$@"
