"""Turns SANDBOX_DISK_MOUNTS of an OCI bundle into gVisor's mount hints. See README.md."""

import json
import os
import re
import sys

VARIABLE = "SANDBOX_DISK_MOUNTS="
SIZE = re.compile(r"[1-9][0-9]{0,15}[kmg]?")
MODE = re.compile(r"[01]?[0-7]{3}")
ID = re.compile(r"[0-9]{1,9}")
DEFAULTS = {"mode": "0700", "uid": "1000", "gid": "1000"}
PATTERNS = {"mode": MODE, "uid": ID, "gid": ID}


class Refused(Exception):
    """The request cannot be met. A sandbox without its size limit must not start."""


def parse(text):
    """`/mnt/data=64m,/tmp=1g:mode=1777:uid=0` -> {"/mnt/data": {"size": "64m", ...}, ...}"""
    wanted = {}
    for entry in text.split(","):
        path, separator, rest = entry.partition("=")
        size, *options = rest.split(":")
        if not separator or not path.startswith("/") or os.path.normpath(path) != path:
            raise Refused(f"expected /path=size, got {entry!r}")
        if not SIZE.fullmatch(size):
            raise Refused(f"{path}: not a size: {size!r}")
        values = dict(DEFAULTS)
        for option in options:
            key, _, value = option.partition("=")
            if key not in PATTERNS or not PATTERNS[key].fullmatch(value):
                raise Refused(f"{path}: unknown option {option!r}")
            values[key] = value
        if path in wanted:
            raise Refused(f"{path} is named twice")
        wanted[path] = {**values, "size": size}
    return wanted


def hint(spec, index, path, values):
    mounts = [m for m in spec.get("mounts", []) if m.get("destination") == path]
    if len(mounts) != 1 or mounts[0].get("type") != "bind":
        raise Refused(f"{path} is not exactly one bind mount of this container")
    mount = mounts[0]
    # gVisor compares the options' strictness: what is noexec and so on stays so on the mount itself.
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
    if requests:
        for index, (path, values) in enumerate(parse(requests[-1][len(VARIABLE) :]).items()):
            hint(spec, index, path, values)
    return spec


def main(path):
    with open(path, encoding="utf-8") as file:
        spec = edit(json.load(file))
    temporary = path + ".tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(spec, file)
    os.replace(temporary, path)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (Refused, OSError, ValueError, KeyError) as error:
        sys.exit(f"code-interpreter-runtime: {error}")
