"""Runs inside a container: starts a Jupyter Kernel Gateway and asks it, over HTTP and a WebSocket, to run code.

Prints `first` when the first result is here, then one line of JSON with the milliseconds of each further execution.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

from tornado.websocket import WebSocketClientConnection, websocket_connect

PORT = 8899
START_SECONDS = 120


def started() -> str:
    """Id of a kernel, once the gateway answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            asked = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/kernels", data=b"{}", method="POST")
            with urllib.request.urlopen(asked) as reply:
                return str(json.load(reply)["id"])
        except (urllib.error.URLError, ConnectionError) as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


async def run(connection: WebSocketClientConnection, code: str) -> None:
    """Resolves when the kernel is idle again."""
    message_id = uuid.uuid4().hex
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    header = {"msg_id": message_id, "msg_type": "execute_request", "username": "", "session": "bench", "version": "5.3"}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await connection.write_message(json.dumps(message))
    replied = idle = False
    while not (replied and idle):
        said = json.loads(await connection.read_message())
        if said["parent_header"].get("msg_id") != message_id:
            continue
        if said["msg_type"] == "execute_reply":
            assert said["content"]["status"] == "ok", said
            replied = True
        if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
            idle = True


async def main(times: int, first: str) -> None:
    command = [sys.executable, "-m", "kernel_gateway", "--ip=127.0.0.1", f"--port={PORT}"]
    gateway = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        connection = await websocket_connect(f"ws://127.0.0.1:{PORT}/api/kernels/{started()}/channels")
        await run(connection, first)
        print("first", flush=True)
        each = []
        for _ in range(times):
            began = time.monotonic()
            await run(connection, "1+1")
            each.append((time.monotonic() - began) * 1000)
        print(json.dumps(each), flush=True)
    finally:
        gateway.terminate()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
