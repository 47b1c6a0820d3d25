"""The file workers: every touch of a guest file happens here, with the rights of user code.

worker.py is the loop of such a process; ../workers.py starts them and gives them work.
"""
