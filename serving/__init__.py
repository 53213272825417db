"""How a playlist is made: candidate generation, filters, pre-ranking, ranking, re-ranking, exploration.

`radio.py` is the read path on one screen. Everything outside `runtime/` is pure: it is handed a replica, a request and the
time, and returns an answer. It never learns, and it never waits.
"""
