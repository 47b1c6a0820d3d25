"""Tests of what runs inside a sandbox. `python3 -m unittest discover -s test/sandbox -t .`, as root."""
