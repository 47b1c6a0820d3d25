"""Why a file operation was refused: the codes of README.md."""

import errno


class Refused(Exception):
    """Becomes the event `failed` with this code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_CODES = {
    errno.ENOENT: ("not_found", "no such file"),
    errno.ENOSPC: ("no_space", "the data disk is full"),
    errno.EDQUOT: ("no_space", "the data disk is full"),
    errno.EFBIG: ("no_space", "the file is larger than the disk allows"),
    errno.ENOTDIR: ("not_a_file", "a part of the path is no directory"),
    errno.ELOOP: ("not_a_file", "a part of the path is a symbolic link"),
    errno.EISDIR: ("not_a_file", "it is a directory"),
    errno.ENOTEMPTY: ("not_a_file", "it is a directory"),
    errno.ENXIO: ("not_a_file", "it is a socket or a device"),
    errno.EACCES: ("not_a_file", "its permissions do not allow it"),
    errno.EPERM: ("not_a_file", "its permissions do not allow it"),
    errno.EROFS: ("not_a_file", "its permissions do not allow it"),
    errno.ENAMETOOLONG: ("invalid_path", "a part of the path is too long"),
    errno.EEXIST: ("changed", "another file took its name meanwhile"),
    errno.ETXTBSY: ("not_a_file", "it is being executed"),
}


def refused(error: OSError) -> Refused:
    """The answer to what the file system said."""
    code, message = _CODES.get(error.errno or 0, ("internal", f"file system: {error.strerror}"))
    return Refused(code, message)
