"""Runs on the host: llm-sandbox with our image on gVisor. Prints one line of JSON, all in milliseconds."""

import json
import sys
import tempfile
import time

from llm_sandbox import SandboxSession


def main(folder: str, image: str, runtime: str, times: int, first: str) -> None:
    began = time.monotonic()
    # It copies code into the running container. gVisor keeps the root file system to itself, so a mount takes it.
    mounts = {folder: {"bind": "/work", "mode": "rw"}}
    options = {"runtime": runtime, "network_mode": "none", "volumes": mounts}
    with SandboxSession(
        lang="python", image=image, skip_environment_setup=True, runtime_configs=options, workdir="/work"
    ) as session:

        def run(code: str) -> None:
            result = session.run(code)
            assert result.exit_code == 0, result.stderr

        run(first)
        until_first = (time.monotonic() - began) * 1000
        each = []
        for _ in range(times):
            began = time.monotonic()
            run("print(1+1)")
            each.append((time.monotonic() - began) * 1000)
        print(json.dumps({"first": until_first, "each": each}))


with tempfile.TemporaryDirectory() as place:
    main(place, sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
