"""The OCI runtime's own part: what it makes of a bundle, and of the verbs that follow."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[2] / "sandbox" / "runtime"
sys.path.insert(0, str(RUNTIME))

import bundle  # noqa: E402

_SPEC = {
    "process": {"env": ["PATH=/bin", "SANDBOX_DISK_MOUNTS=/mnt/data=64m", "SANDBOX_CHECKPOINT_TO=/host/a b/image"]},
    "mounts": [
        {"destination": "/mnt/data", "type": "bind", "source": "/host/data", "options": ["rbind"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup"},
    ],
}
# Prints each argument on a line of its own, as runsc would get them.
_RUNSC = '#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done\n'


class Bundle(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.path = Path(self.directory)

    def write(self, *env: str) -> None:
        spec = json.loads(json.dumps(_SPEC))
        spec["process"]["env"] += env
        (self.path / "config.json").write_text(json.dumps(spec))

    def edited(self) -> dict[str, dict[str, list[str]]]:
        return json.loads((self.path / "config.json").read_text())  # type: ignore[no-any-return]

    def test_the_guest_learns_nothing_of_what_was_asked_for(self) -> None:
        self.write("SANDBOX_RESTORE_FROM=/host/templates/1")
        bundle.edit_bundle(self.directory)
        self.assertEqual(self.edited()["process"]["env"], ["PATH=/bin"])
        self.assertEqual([mount["destination"] for mount in self.edited()["mounts"]], ["/mnt/data"])  # type: ignore[index, call-overload]
        self.assertNotIn("templates", (self.path / "config.json").read_text())

    def test_folders_become_notes(self) -> None:
        self.write("SANDBOX_RESTORE_FROM=/host/templates/1")
        bundle.edit_bundle(self.directory)
        self.assertEqual((self.path / "sandbox-restore-from").read_text(), "/host/templates/1\n")
        self.assertEqual((self.path / "sandbox-checkpoint-to").read_text(), "/host/a b/image\n")

    def test_without_a_folder_there_is_no_note(self) -> None:
        self.write()
        bundle.edit_bundle(self.directory)
        self.assertFalse((self.path / "sandbox-restore-from").exists())

    def test_a_folder_that_is_none_fails_the_start(self) -> None:
        for path in ("relative", "/a/../b", "/a\nb", "/a/"):
            self.write(f"SANDBOX_RESTORE_FROM={path}")
            with self.assertRaises(bundle.Refused):
                bundle.edit_bundle(self.directory)


class Verbs(unittest.TestCase):
    """Called as containerd's shim calls it: in the bundle's folder, flags and their values as words of their own."""

    def setUp(self) -> None:
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.bundle = Path(self.directory, "bundle")
        self.bundle.mkdir()
        runsc = Path(self.directory, "runsc")
        runsc.write_text(_RUNSC)
        runsc.chmod(0o755)

    def words(self, *words: str) -> list[str]:
        command = [str(RUNTIME / "code-interpreter-runtime"), "--root", "/run/start", "--log", f"{self.bundle}/log.json"]
        environment = {**os.environ, "CI_RUNSC": f"{self.directory}/runsc"}
        done = subprocess.run([*command, *words], cwd=self.bundle, env=environment, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        mine = ["--platform=systrap", "--network=none", "--host-uds=create", "--overlay2=root:self"]
        got = done.stdout.splitlines()
        self.assertEqual(got[:4], mine)
        self.assertEqual(got[4:8], ["--root", "/run/start", "--log", f"{self.bundle}/log.json"])
        return got[8:]

    def note(self, name: str, folder: str) -> None:
        (self.bundle / name).write_text(f"{folder}\n")

    def test_without_notes_they_pass(self) -> None:
        for words in (["start", "abc"], ["checkpoint", "--image-path", "/x", "abc"], ["state", "start"], ["kill", "abc", "9"]):
            self.assertEqual(self.words(*words), words)

    def test_a_start_becomes_a_restore(self) -> None:
        self.note("sandbox-restore-from", "/host/a b/start")
        self.assertEqual(self.words("start", "abc"), ["restore", "--detach", "--image-path=/host/a b/start", "abc"])
        self.assertEqual(self.words("delete", "--force", "abc"), ["delete", "--force", "abc"])

    def test_a_checkpoint_goes_where_it_was_asked_for(self) -> None:
        self.note("sandbox-checkpoint-to", "/host/image")
        ours = ["checkpoint", "--compression=none", "--exclude-committed-zero-pages", "--image-path=/host/image"]
        words = ["checkpoint", "--image-path", "/tmp/of-the-engine", "--work-path", "/tmp/w", "abc"]
        self.assertEqual(self.words(*words), [*ours, "abc"])
        self.assertEqual(self.words("checkpoint", "--image-path=/x", "--leave-running", "abc"), [*ours, "--leave-running", "abc"])

    def test_a_checkpoint_leaves_the_engine_something_of_its_own(self) -> None:
        self.note("sandbox-checkpoint-to", "/host/image")
        for number, flag in enumerate((["--image-path", "{}"], ["--image-path={}"])):
            folder = Path(self.directory, f"of the engine {number}")
            folder.mkdir()
            self.words("checkpoint", *(word.format(folder) for word in flag), f"abc{number}")
            self.assertEqual((folder / "container").read_text(), f"abc{number}\n")
        self.words("checkpoint", "--image-path", f"{self.directory}/missing", "abc")
        self.assertFalse(Path(self.directory, "missing").exists())

    def test_create_edits_the_bundle_first(self) -> None:
        (self.bundle / "config.json").write_text(json.dumps(_SPEC))
        words = ["create", "--bundle", str(self.bundle), "--pid-file", "/x", "abc"]
        self.assertEqual(self.words(*words), words)
        self.assertEqual((self.bundle / "sandbox-checkpoint-to").read_text(), "/host/a b/image\n")


if __name__ == "__main__":
    unittest.main()
