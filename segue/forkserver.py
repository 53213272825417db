"""A process that has imported what workers need, and forks one whenever it is asked: the imports take seconds, a fork milliseconds.

A request is a message with three files: what to run, and where its output and its errors go. The answer is the worker's process id.
No event loop and no threads here, since neither survives a fork. Not for other programs than `segue worker`.
"""

import contextlib
import gc
import importlib
import json
import os
import socket
import sys
import time

from segue.embedded.processes import die_with_parent, name_process

READY = b"ready"
ANSWER_BYTES_MAX = 32
MODULES = ("serving.runtime.worker", "streams.runtime.learner", "streams.runtime.keeper", "encodings.idna")


def main() -> None:
    """Serve the parent on the socket whose number is the argument, until it closes its side. Returns in workers, too, when they have ended."""
    supervisor, control = os.getppid(), socket.socket(fileno=int(sys.argv[1]))
    gc.disable()  # what it frees are holes in pages that are shared
    rehearse()
    gc.freeze()
    control.send(READY)
    while True:
        asked, files, _, _ = socket.recv_fds(control, 1, 3)
        if not asked:
            return
        between = os.fork()
        if between == 0:
            between = os.getpid()
            if os.fork():
                os._exit(0)
            _be_adopted(supervisor, between, control)
            _work(*files)
            return
        for file in files:
            os.close(file)
        if os.waitpid(between, 0)[1]:
            sys.exit("a worker could not be forked")


def rehearse() -> None:
    """Import all that a worker needs; some of it is imported only where a command line is read, and where a Faust app is made."""
    for module in MODULES:
        importlib.import_module(module)
    import typer

    from segue.cli.main import app
    from streams.runtime.keeper import keeper_engine
    from streams.runtime.settings import Settings

    with contextlib.suppress(typer.BadParameter):
        app(["worker", "nobody"], standalone_mode=False)
    keeper_engine(Settings(bootstrap="nowhere"))


def _be_adopted(supervisor: int, parent: int, control: socket.socket) -> None:
    """The supervisor gets the worker as its own child: it can wait for it and signal it, whatever becomes of the fork server."""
    while os.getppid() == parent:  # it is just ending
        time.sleep(0.0005)
    die_with_parent()
    if os.getppid() != supervisor:
        os._exit(1)  # it has ended meanwhile
    os.setsid()
    control.send(str(os.getpid()).encode())
    control.close()


def _work(request: int, output: int, errors: int) -> None:
    """Be what `python -m segue.cli.main` is with the arguments of the request."""
    from segue.cli.main import __file__ as path
    from segue.cli.main import main as run

    os.dup2(output, sys.stdout.fileno())
    os.dup2(errors, sys.stderr.fileno())
    os.lseek(request, 0, os.SEEK_SET)
    with open(request) as file:
        wanted = json.load(file)
    os.close(output)
    os.close(errors)
    os.environ.clear()
    os.environ.update(wanted["environ"])
    os.chdir(wanted["folder"])
    sys.argv = [path, *wanted["arguments"]]
    name_process(f"segue-{sys.argv[-1]}", " ".join((sys.executable, "-m", run.__module__, *sys.argv[1:])))
    gc.enable()
    run()


if __name__ == "__main__":
    main()
