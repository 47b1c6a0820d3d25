"""A sandbox for tests: `with Sandbox() as sandbox: sandbox.client.run("1+1")`.

SANDBOX_TEST=native  (default) the supervisor as a plain child process of ours, in temporary directories.
                     Needs root, a free uid 1000 and a Python with IPython: SANDBOX_TEST_PYTHON.
SANDBOX_TEST=docker  a container as the orchestrator makes it, on SANDBOX_RUNTIME, from SANDBOX_IMAGE,
                     with this tree's supervisor and kernel mounted over the image's. Both may come from data/engine/env.
"""

import os
import shutil
import subprocess
import tempfile
import unittest
import uuid
from pathlib import Path

from client import Client, connect

ROOT = Path(__file__).resolve().parents[2]
MODE = os.environ.get("SANDBOX_TEST", "native")
GVISOR = MODE == "docker"
_CAPABILITIES = ("SETUID", "SETGID", "KILL", "CHOWN", "DAC_OVERRIDE", "SETPCAP")


def _settings() -> dict[str, str]:
    """Environment over the engine's own file."""
    settings: dict[str, str] = {}
    file = ROOT / "data" / "engine" / "env"
    if file.exists():
        settings = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return {**settings, **os.environ}


SETTINGS = _settings()
PYTHON = SETTINGS.get("SANDBOX_TEST_PYTHON", "/usr/bin/python3")


def require() -> None:
    """Skips the module's tests where no sandbox can be had."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root")
    if GVISOR:
        if not SETTINGS.get("SANDBOX_IMAGE"):
            raise unittest.SkipTest("SANDBOX_IMAGE is not set")
    elif subprocess.run([PYTHON, "-c", "import IPython"], capture_output=True).returncode:
        raise unittest.SkipTest(f"{PYTHON} has no IPython; set SANDBOX_TEST_PYTHON")


class Sandbox:
    """Options are those of supervisor/options.py. `data` is the protocol's root of files."""

    def __init__(self, disk: str = "64m", **options: str | int) -> None:
        # As the orchestrator does: the container's limit lies above what is promised.
        options = {"memory_bytes": 1 << 30, **options} if GVISOR else options
        self._options = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        self._disk = disk
        self.name = f"sandbox-test-{uuid.uuid4().hex[:12]}"
        self.directory = tempfile.mkdtemp(prefix="sandbox-test-")
        os.chmod(self.directory, 0o755)
        self.data = "/mnt/data" if GVISOR else f"{self.directory}/data"
        self.socket = f"{self.directory}/run/supervisor.sock"
        for name in ("data", "run"):
            os.mkdir(f"{self.directory}/{name}")
        os.chown(f"{self.directory}/data", 1000, 1000)
        self._clients: list[Client] = []
        self.client: Client

    def __enter__(self) -> "Sandbox":
        command = self._docker() if GVISOR else self._native()
        self.process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, env={**os.environ, **SETTINGS})
        try:
            self.client = self.connect()
            self.client.run("pass")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        for client in self._clients:
            client.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if GVISOR:
            subprocess.run(["docker", "rm", "-f", self.name], capture_output=True, env={**os.environ, **SETTINGS})
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self) -> Client:
        """Another connection; closed at the end."""
        client = connect(self.socket, 60)
        self._clients.append(client)
        return client

    def path(self, name: str) -> str:
        return f"{self.data}/{name}"

    def _native(self) -> list[str]:
        places = ["--socket", self.socket, "--data", self.data, "--scratch", f"{self.directory}/none"]
        return [PYTHON, "-I", str(ROOT / "sandbox/supervisor/main.py"), *places, *self._options]

    def _docker(self) -> list[str]:
        run = ["docker", "run", "--rm", "--name", self.name, "--runtime", SETTINGS["SANDBOX_RUNTIME"]]
        run += ["--network=none", "--read-only", "--cap-drop=ALL", *(f"--cap-add={name}" for name in _CAPABILITIES)]
        run += ["--security-opt=no-new-privileges", "--memory=1280m", "--pids-limit=1024"]
        run += ["--ulimit=nofile=4096", "--hostname=sandbox", "-e", f"SANDBOX_DISK_MOUNTS=/mnt/data={self._disk}"]
        run += ["-v", f"{self.directory}/data:/mnt/data", "-v", f"{self.directory}/run:/run/sandbox"]
        for part in ("supervisor", "kernel"):
            run += ["-v", f"{ROOT}/sandbox/{part}:/opt/sandbox/{part}:ro"]
        run += ["--tmpfs=/tmp:rw,nosuid,nodev,size=256m,mode=1777"]
        run += ["-w", "/", "--entrypoint", SETTINGS.get("SANDBOX_TEST_GUEST_PYTHON", "python3"), SETTINGS["SANDBOX_IMAGE"]]
        return [*run, "-I", "/opt/sandbox/supervisor/main.py", *self._options]


class SandboxTest(unittest.TestCase):
    """One sandbox for a class of tests; `options` are passed to it."""

    options: dict[str, str | int] = {}
    sandbox: Sandbox

    @classmethod
    def setUpClass(cls) -> None:
        require()
        cls.sandbox = Sandbox(**cls.options)  # type: ignore[arg-type]
        cls.enterClassContext(cls.sandbox)

    def setUp(self) -> None:
        self.client = self.sandbox.client

    def run_text(self, code: str) -> str:
        """stdout of a run that must not fail."""
        result = self.client.run(code)
        self.assertEqual(result.of("error"), [])
        return result.text()

    def assert_healthy(self) -> None:
        """After any attack: code runs, files work, quickly."""
        result = self.client.run("print(6 * 7)", timeout_ms=20_000)
        self.assertEqual((result.text(), result.done["status"]), ("42\n", "completed"))
        with Client(self.sandbox.socket) as other:
            other.put(self.sandbox.path("health.txt"), b"healthy")
            self.assertEqual(other.get(self.sandbox.path("health.txt")), b"healthy")
            other.ask("remove", path=self.sandbox.path("health.txt"))
