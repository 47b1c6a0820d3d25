"""What the supervisor can be told at start. Read once by main.py; nobody else looks at argv or environ."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Options:
    """Each field is `--its-name value` on the command line, or SANDBOX_ITS_NAME in the environment."""

    socket: str = "/run/sandbox/supervisor.sock"
    """Where the host finds us. The directory is made mode 0700."""
    data: str = "/mnt/data"
    """Root of all file operations and working directory of the kernel."""
    uid: int = 1000
    """Uid and gid of user code. Real uid 0 with this effective uid is a file worker."""
    gid: int = 1000
    python: str = sys.executable
    """Interpreter of the kernel."""
    kernel: str = os.path.join(os.path.dirname(HERE), "kernel", "main.py")
    preload: str = "numpy,pandas,matplotlib.pyplot"
    """Modules that a kernel has imported when it is ready, separated by commas; those that are not there are left out."""
    scratch: str = "/tmp:/dev/shm"
    """Directories in memory that are emptied after out-of-memory, separated by colons."""
    memory_bytes: int = 0
    """Limit until `configure` names one; 0 watches without a limit."""
    max_processes: int = 128
    """RLIMIT_NPROC of the kernel's uid: processes and threads."""
    max_open_files: int = 2048
    """RLIMIT_NOFILE of the kernel."""
    max_files: int = 10_000
    """Directory entries below `data` that are looked at in one walk."""
    max_entries: int = 100_000
    """Files and directories, scratch directories included, above which code that makes more is stopped."""
    transfer_workers: int = 16
    """Most file operations at one time; further ones wait."""
    start_timeout_ms: int = 120_000
    """A kernel that is not ready by then is killed and started again."""


class BadOption(ValueError):
    """An option that does not exist or is no number."""


def read_options(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Command line over environment over defaults."""
    kinds = {field.name: field.type for field in fields(Options)}
    given = {name: environ[f"SANDBOX_{name.upper()}"] for name in kinds if f"SANDBOX_{name.upper()}" in environ}
    if len(argv) % 2:
        raise BadOption(f"an option without a value: {argv[-1]!r}")
    for flag, value in zip(argv[::2], argv[1::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        if name not in kinds or not flag.startswith("--"):
            raise BadOption(f"unknown option {flag!r}")
        given[name] = value
    values: dict[str, str | int] = {}
    for name, text in given.items():
        if kinds[name] is int:
            if not text.isdecimal():
                raise BadOption(f"{name} is not a whole number: {text!r}")
            values[name] = int(text)
        else:
            values[name] = text
    return replace(Options(), **values)  # type: ignore[arg-type]
