"""Round trip times of a running sandbox: python3 test/sandbox/latency.py [socket] [rounds]

Without a socket it starts a sandbox as harness.py does, so SANDBOX_TEST=docker measures under gVisor.
"""

import statistics
import sys
import time
from collections.abc import Callable

from client import Client, connect
from harness import Sandbox


def measure(name: str, rounds: int, work: Callable[[], object]) -> None:
    """Prints milliseconds."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    middle, late = statistics.median(times), times[int(rounds * 0.95)]
    print(f"{name:24} median {middle:8.3f} ms   p95 {late:8.3f} ms   min {times[0]:8.3f} ms   n {rounds}", flush=True)


def report(client: Client, path: str, data: str, rounds: int) -> None:
    client.run("1+1")
    measure("ping", rounds, lambda: client.ask("ping"))
    measure("1+1", rounds, lambda: client.run("1+1"))
    client.run("for i in range(1000): open(f'latency{i}', 'w').close()")
    measure("1+1 with 1000 files", rounds // 5, lambda: client.run("1+1"))
    client.run("import os\nfor i in range(1000): os.unlink(f'latency{i}')")
    files = connect(path)
    measure("put 1 KB", rounds // 5, lambda: files.put(f"{data}/latency", bytes(1000)))
    measure("get 1 KB", rounds // 5, lambda: files.get(f"{data}/latency"))
    measure("put 32 MB", 5, lambda: files.put(f"{data}/latency", bytes(32_000_000)))
    measure("get 32 MB", 5, lambda: files.get(f"{data}/latency"))
    files.ask("remove", path=f"{data}/latency")
    measure("restart", 3, lambda: client.ask("restart"))


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    if len(sys.argv) > 1:
        report(connect(sys.argv[1]), sys.argv[1], "/mnt/data", count)
    else:
        with Sandbox() as sandbox:
            report(sandbox.client, sandbox.socket, sandbox.data, count)
