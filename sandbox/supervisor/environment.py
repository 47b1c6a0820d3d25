"""The environment variables that user code sees."""

import os

_INHERITED = ("PATH", "LANG", "TZ", "MPLCONFIGDIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "LD_LIBRARY_PATH")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS", "NUMBA_NUM_THREADS")


def kernel_environment(home: str) -> dict[str, str]:
    """A clean set, and some of the image's own."""
    threads = str(max(1, min(4, os.cpu_count() or 1)))
    base = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": home,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "SHELL": "/bin/sh",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "TMPDIR": "/tmp",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "IPYTHONDIR": "/tmp/ipython",
        "XDG_CACHE_HOME": "/tmp/cache",
        "XDG_CONFIG_HOME": "/tmp/config",
        "NUMBA_CACHE_DIR": "/tmp/numba",
        "PLOTLY_RENDERER": "plotly_mimetype",
        # There is no network: an installer should say so at once.
        "PIP_RETRIES": "0",
        "PIP_DEFAULT_TIMEOUT": "5",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        # Spinning thread pools are slow under gVisor; one thread for each processor is the best.
        **dict.fromkeys(_THREADS, threads),
    }
    inherited = {name: os.environ[name] for name in (*_INHERITED, *_THREADS) if name in os.environ}
    return {**base, **inherited}
