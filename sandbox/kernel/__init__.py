"""The kernel: IPython in a process of user code. main.py loads this package; it has no secrets.

Everything here shares its process with user code, so nothing here is trusted by the supervisor.
"""
