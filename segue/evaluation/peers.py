"""Others' software that plays in scenarios, where the extra `peers` is installed."""

import importlib.util


def installed(package: str) -> bool:
    """Whether a package can be imported.

    >>> installed("numpy"), installed("no_such_package")
    (True, False)
    """
    return importlib.util.find_spec(package) is not None
