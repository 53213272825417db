"""What happens to events on their way: messages, topics, and the two pure write paths (`processor`, `keeper`).

Not for answering requests (`serving`) nor for what is learnt (`online_models`). Everything outside `runtime/` is pure: it is
fed records and returns changed rows and outputs, so that replay, simulation, tests and production run the same code.
"""
