"""Paths of the protocol: text on the wire, bytes here. Pure; no file system is touched."""

from .failures import Refused

MAX_NAME = 255
"""Bytes of one component."""
MAX_PATH = 4096
"""Bytes of a whole path below the root."""
MAX_DEPTH = 64
"""Components below the root."""

UPLOAD_PREFIX = b".upload-"
"""Unfinished uploads, left out of every listing."""
_HIDDEN = frozenset((b".cache", b".ipython", b".config", b".ipynb_checkpoints", b"__pycache__"))


def hidden(name: bytes) -> bool:
    """Whether a directory entry is left out of listings and change reports."""
    return name in _HIDDEN or name.startswith(UPLOAD_PREFIX)


def to_text(path: bytes) -> str:
    """Bytes that are no UTF-8 become lone surrogates, which JSON can carry as escapes."""
    return path.decode("utf-8", "surrogateescape")


def parse(root: str, text: object) -> list[bytes]:
    """`/mnt/data/a/b.csv` -> [b"a", b"b.csv"]; raises Refused `invalid_path`."""
    if not isinstance(text, str) or not text.startswith(root + "/"):
        raise Refused("invalid_path", f"a path starts with {root}/")
    try:
        path = text[len(root) + 1 :].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Refused("invalid_path", "the path holds characters that are no text") from None
    parts = path.split(b"/")
    if any(part in (b"", b".", b"..") for part in parts):
        raise Refused("invalid_path", "the path holds an empty part, '.' or '..'")
    if b"\0" in path:
        raise Refused("invalid_path", "the path holds a NUL")
    if max(map(len, parts)) > MAX_NAME:
        raise Refused("invalid_path", f"a part of the path is over {MAX_NAME} bytes")
    if len(path) > MAX_PATH or len(parts) > MAX_DEPTH:
        raise Refused("invalid_path", f"the path is over {MAX_PATH} bytes or {MAX_DEPTH} parts")
    return parts
