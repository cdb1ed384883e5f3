"""Runs a command and prints one JSON line: wall and CPU seconds and peak memory of the whole process tree, its exit code and output.

usage: measure.py LIMIT_S COMMAND...
"""
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time


def main() -> None:
    limit = float(sys.argv[1])
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(sys.argv[2:], stdout=out, stderr=err, start_new_session=True)
        try:
            code = child.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            code = 124
        wall = time.monotonic() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = [tail(out, 200_000), tail(err, 2_000)]
    print(json.dumps({
        "wallS": wall,
        "cpuS": used.ru_utime + used.ru_stime,
        "rssMiB": used.ru_maxrss / 1024,
        "exitCode": code,
        "stdout": text[0],
        "stderr": text[1],
    }))


def tail(file, size: int) -> str:
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - size))
    return file.read().decode(errors="replace")


main()
