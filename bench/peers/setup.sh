#!/usr/bin/env bash
# Installs the peers of `npm run bench -- peers` into $KVCAST_PEERS (default ~/.cache/kvcast-peers), outside the tree. Needs python3 with
# venv, cargo (inference-lab is built with link-time optimisation: about 12 minutes of CPU) and a C++ compiler (kvcache-simulator).
# INFERENCE_LAB=/path/to/inference-lab takes a binary of version 1.0.0 that was built before.
set -euo pipefail
dir=${KVCAST_PEERS:-$HOME/.cache/kvcast-peers}
mkdir -p "$dir"
[ -x "$dir/venv/bin/python" ] || python3 -m venv "$dir/venv"
# The engine and router of AISimulate are in ai-dynamo-runtime; the aisimulate wheel itself is not on PyPI, hence --no-deps.
"$dir/venv/bin/pip" install -q --no-deps ai-dynamo==1.6.1 ai-dynamo-runtime==1.6.1
"$dir/venv/bin/pip" install -q pydantic uvloop msgspec zstandard tqdm typing-extensions pyyaml kvcache-simulator==0.1.3
if [ -x "$dir/bin/inference-lab" ]; then
  :
elif [ -n "${INFERENCE_LAB:-}" ]; then
  mkdir -p "$dir/bin"
  cp "$INFERENCE_LAB" "$dir/bin/inference-lab"
elif command -v cargo > /dev/null; then
  cargo install inference-lab --version 1.0.0 --locked --root "$dir"
else
  echo "no cargo: inference-lab is left out" >&2
fi
