"""A filter of system calls for user code: no device nodes.

gVisor lets anybody make a node for a device and open it, whatever capabilities and `nodev` say. The
filter binds the process and all that it starts, for good.
"""

import ctypes
import errno
import os
import platform
import stat
import struct

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_RETURN_ALLOW = 0x7FFF0000
_RETURN_ERRNO = 0x00050000
_NUMBER_OFFSET = 0
_ARCHITECTURE_OFFSET = 4
_ARGUMENTS_OFFSET = 16

# classic BPF: load a word, mask it, compare, return
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_Instruction = tuple[int, int, int, int]

_ARCHITECTURES = {
    # AUDIT_ARCH, and for each call its number and which argument is the mode.
    "x86_64": (0xC000003E, {133: 1, 259: 2}),
    "aarch64": (0xC00000B7, {33: 2}),
}
_OTHER_NUMBERS = 0x40000000
"""From here on the numbers of another calling convention (x32) begin."""


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def program(machine: str) -> list[_Instruction]:
    """(code, jump if true, jump if false, operand) of each instruction; jumps count those passed over."""
    architecture, calls = _ARCHITECTURES[machine]
    deny = (_RETURN, 0, 0, _RETURN_ERRNO | errno.EPERM)
    found: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_EQUAL, 1, 0, architecture),
        deny,
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_AT_LEAST, 0, 1, _OTHER_NUMBERS),
        deny,
    ]
    for number, argument in calls.items():
        found += [
            (_EQUAL, 0, 6, number),
            (_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * argument),
            (_AND, 0, 0, stat.S_IFMT(0xFFFF)),
            (_EQUAL, 1, 0, stat.S_IFCHR),
            (_EQUAL, 0, 1, stat.S_IFBLK),
            deny,
            (_RETURN, 0, 0, _RETURN_ALLOW),
        ]
    return [*found, (_RETURN, 0, 0, _RETURN_ALLOW)]


def forbid_device_nodes() -> None:
    """For a process without new privileges. Raises OSError where the filter cannot be set."""
    instructions = program(platform.machine())
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    filter_ = _Program(len(instructions), packed)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(filter_), 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"PR_SET_SECCOMP: {os.strerror(error)}")
