"""Who a forked child becomes. Called between fork and the child's real work, never in PID 1 itself."""

import ctypes
import os
import resource

from . import seccomp

PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _prctl(option: int, value: int, what: str) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), what)


def hide_from_users() -> None:
    """No ptrace, no core dump, /proc entries owned by root. For PID 1 and the file workers."""
    _prctl(PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def adopt_orphans() -> None:
    """Become the reaper of orphans when we are not PID 1 (tests outside a container)."""
    if os.getpid() != 1:
        _prctl(PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def _drop_capabilities() -> None:
    header = _CapHeader(CAPABILITY_VERSION_3, 0)
    data = (_CapData * 2)()
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(data)), "capset")


def _empty_bounding_set() -> None:
    """Needs CAP_SETPCAP, so it comes before everything else."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(capability), 0, 0, 0) == 1:
            _prctl(PR_CAPBSET_DROP, capability, "PR_CAPBSET_DROP")


def become_file_worker(uid: int, gid: int) -> None:
    """Effective uid of user code, real and saved uid 0, no capabilities.

    It may touch exactly the files that user code may touch, and makes files that user code owns.
    The real and saved uid keep user code from killing or tracing it.
    """
    _empty_bounding_set()
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(0, uid, 0)
    _drop_capabilities()
    _prctl(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
    hide_from_users()
    os.umask(0o022)


def become_user(uid: int, gid: int, max_processes: int, max_open_files: int) -> None:
    """User code for good: no way back, no capabilities, no set-uid programs, no device nodes, bounded."""
    _empty_bounding_set()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (max_processes, max_processes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_open_files, max_open_files))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _drop_capabilities()
    _prctl(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
    seccomp.forbid_device_nodes()
    os.umask(0o022)
