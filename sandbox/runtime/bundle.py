"""Takes what the orchestrator asks of the runtime out of an OCI bundle's environment. See README.md.

SANDBOX_DISK_MOUNTS becomes gVisor's mount hints, SANDBOX_RESTORE_FROM and SANDBOX_CHECKPOINT_TO become
notes beside the bundle, for the verbs that follow.
"""

import json
import os
import re
import sys
import time

DISK_MOUNTS = "SANDBOX_DISK_MOUNTS="
FOLDERS = ("SANDBOX_RESTORE_FROM=", "SANDBOX_CHECKPOINT_TO=")
SIZE = re.compile(r"[1-9][0-9]{0,15}[kmg]?")
DEFAULTS = {"mode": "0700", "uid": "1000", "gid": "1000"}
PATTERNS = {
    "mode": re.compile(r"[01]?[0-7]{3}"),
    "uid": re.compile(r"[0-9]{1,9}"),
    "gid": re.compile(r"[0-9]{1,9}"),
}


class Refused(Exception):
    """The request cannot be met. A sandbox without its size limit must not start."""


def parse(text):
    """`/mnt/data=64m,/tmp=1g:mode=1777:noexec` -> {"/mnt/data": {"size": "64m", ...}, ...}"""
    wanted = {}
    for entry in text.split(","):
        path, separator, rest = entry.partition("=")
        size, *options = rest.split(":")
        if not separator or not path.startswith("/") or os.path.normpath(path) != path:
            raise Refused(f"expected /path=size, got {entry!r}")
        if not SIZE.fullmatch(size):
            raise Refused(f"{path}: not a size: {size!r}")
        if path in wanted:
            raise Refused(f"{path} is named twice")
        values = {**DEFAULTS, "size": size, "noexec": False}
        for option in options:
            key, _, value = option.partition("=")
            if option == "noexec":
                values["noexec"] = True
            elif key in PATTERNS and PATTERNS[key].fullmatch(value):
                values[key] = value
            else:
                raise Refused(f"{path}: unknown option {option!r}")
        wanted[path] = values
    return wanted


def hint(spec, index, path, values):
    mounts = [m for m in spec.get("mounts", []) if m.get("destination") == path]
    if len(mounts) != 1 or mounts[0].get("type") != "bind":
        raise Refused(f"{path} is not exactly one bind mount of this container")
    mount = mounts[0]
    # Restrictions belong to the mount: the hint's own options may not be stricter than it.
    flags = ["nosuid", "nodev"] + (["noexec"] if values["noexec"] else [])
    mount["options"] = [o for o in mount.get("options", []) if o not in flags] + flags
    options = ",".join(["rw", *(f"{key}={values[key]}" for key in ("mode", "uid", "gid", "size"))])
    prefix = f"dev.gvisor.spec.mount.disk{index}."
    spec.setdefault("annotations", {}).update(
        {
            prefix + "source": mount["source"],
            prefix + "type": "tmpfs",
            prefix + "share": "container",
            prefix + "options": options,
        }
    )


def taken(spec, variable):
    """Its value, and "" where it is not there; the guest has no use for it, and learns nothing of how it is made."""
    environment = spec["process"].get("env", [])
    found = [entry for entry in environment if entry.startswith(variable)]
    spec["process"]["env"] = [entry for entry in environment if entry not in found]
    return found[-1][len(variable) :] if found else ""


def edit(spec):
    """Returns the notes: name -> folder."""
    # Its paths name the container on the host, and the guest has no cgroups of its own to manage.
    spec["mounts"] = [mount for mount in spec.get("mounts", []) if mount.get("type") != "cgroup"]
    disks = taken(spec, DISK_MOUNTS)
    if disks:
        for index, (path, values) in enumerate(parse(disks).items()):
            hint(spec, index, path, values)
    notes = {variable: taken(spec, variable) for variable in FOLDERS}
    return {note_name(variable): folder(variable, path) for variable, path in notes.items() if path}


def note_name(variable):
    """SANDBOX_RESTORE_FROM= -> sandbox-restore-from"""
    return variable[:-1].lower().replace("_", "-")


def folder(variable, path):
    if not path.startswith("/") or os.path.normpath(path) != path or "\n" in path:
        raise Refused(f"{variable}{path}: expected the absolute path of a folder")
    return path


def replace(path, text):
    temporary = path + ".tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def edit_bundle(bundle):
    path = os.path.join(bundle, "config.json")
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    notes = edit(spec)
    replace(path, json.dumps(spec))
    for name, where in notes.items():
        replace(os.path.join(bundle, name), where + "\n")


def main(bundle, log):
    try:
        edit_bundle(bundle)
    except (Refused, OSError, ValueError, KeyError) as error:
        message = f"the sandbox's bundle: {error}"
        if log:
            # The engine shows its user the last error in this file.
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps({"level": "error", "msg": message, "time": stamp}) + "\n")
        sys.exit(message)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
