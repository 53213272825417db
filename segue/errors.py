"""The errors that a command reports in one line.

SegueError
├── InputError     what the user gave: a path, a file, an argument        exit code 2
└── SituationError what the surroundings lack: a broker, a topic, an answer  exit code 1
"""


class SegueError(Exception):
    """What is said to the user: what was seen, what was expected, what to do."""

    exit_code = 1


class InputError(SegueError):
    """What was given cannot be used."""

    exit_code = 2


class SituationError(SegueError):
    """What was given is fine, but something around it is not there."""
