"""Turns SANDBOX_DISK_MOUNTS of an OCI bundle into gVisor's mount hints. See README.md."""

import json
import os
import re
import sys
import time

VARIABLE = "SANDBOX_DISK_MOUNTS="
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


def edit(spec):
    environment = spec["process"].get("env", [])
    requests = [entry for entry in environment if entry.startswith(VARIABLE)]
    # The guest has no use for it, and learns nothing of how it is put together.
    spec["process"]["env"] = [entry for entry in environment if entry not in requests]
    # Its paths name the container on the host, and the guest has no cgroups of its own to manage.
    spec["mounts"] = [mount for mount in spec.get("mounts", []) if mount.get("type") != "cgroup"]
    if requests:
        for index, (path, values) in enumerate(parse(requests[-1][len(VARIABLE) :]).items()):
            hint(spec, index, path, values)
    return spec


def edit_file(path):
    with open(path, encoding="utf-8") as file:
        spec = edit(json.load(file))
    temporary = path + ".tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(spec, file)
    os.replace(temporary, path)


def main(path, log):
    try:
        edit_file(path)
    except (Refused, OSError, ValueError, KeyError) as error:
        message = f"{VARIABLE[:-1]}: {error}"
        if log:
            # The engine shows its user the last error in this file.
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps({"level": "error", "msg": message, "time": stamp}) + "\n")
        sys.exit(message)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
