"""The supervisor: PID 1 of the guest. It speaks for the sandbox and never runs user code."""
