"""Faults of the supervisor itself, one line each on stderr, where the engine's log finds them."""

import os


def report(message: str) -> None:
    """Never called with code, output or file contents of a user."""
    line = message.encode("utf-8", "replace").replace(b"\n", b" ")[:1000]
    os.write(2, b"supervisor: " + line + b"\n")
