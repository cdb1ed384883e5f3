#!/usr/bin/env bash
# Installs the peers of `npm run bench -- peers` into $KVCAST_PEERS (default ~/.cache/kvcast-peers), outside the tree. Needs python3 with
# venv, cargo (inference-lab is built with link-time optimisation: about 12 minutes of CPU) and a C++ compiler (kvcache-simulator).
set -euo pipefail
dir=${KVCAST_PEERS:-$HOME/.cache/kvcast-peers}
mkdir -p "$dir"
[ -x "$dir/venv/bin/python" ] || python3 -m venv "$dir/venv"
# The engine and router of AISimulate are in ai-dynamo-runtime; the aisimulate wheel itself is not on PyPI, hence --no-deps.
"$dir/venv/bin/pip" install -q --no-deps ai-dynamo==1.6.1 ai-dynamo-runtime==1.6.1
"$dir/venv/bin/pip" install -q pydantic uvloop msgspec zstandard tqdm typing-extensions pyyaml kvcache-simulator==0.1.3
if command -v cargo > /dev/null; then
  [ -x "$dir/bin/inference-lab" ] || cargo install inference-lab --version 1.0.0 --locked --root "$dir"
else
  echo "no cargo: inference-lab is left out" >&2
fi
