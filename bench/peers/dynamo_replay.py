"""Replays a trace through AISimulate's engine with the Dynamo KV router and prints one JSON line with its counts and
the wall seconds of its event loop alone, as it reports them.

usage: dynamo_replay.py TRACE mooncake|weka WORKERS BLOCK_TOKENS
Engine settings are those of bench/peers/*.yaml; step times are AISimulate's own polynomials.
"""
import json
import sys

from dynamo._core import run_mocker_trace_replay

trace, kind, workers, block = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
engine = {"block_size": block, "num_gpu_blocks": 16384, "max_num_seqs": 256, "max_num_batched_tokens": 8192}
options = {"trace_block_size": block} if kind == "mooncake" else {"execution_model": "m"}
report = run_mocker_trace_replay(
    [trace],
    extra_engine_args={"engine": engine},
    num_workers=workers,
    router_mode="kv_router",
    trace_format=kind,
    capture_planner_details=False,
    **options,
)
summary = report.summary
print(json.dumps({
    "requests": summary.get("completed_requests"),
    "hitShare": summary.get("prefix_cache_reused_ratio"),
    "loopS": summary["wall_time_ms"] / 1000,
}))
