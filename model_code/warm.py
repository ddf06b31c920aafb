"""A process that has imported all that a training needs, and forks a launcher whenever one is asked for.

    python -m model_code.warm

A start of the trainers is mostly imports: torchrun's, then each trainer's. A node makes them once, while its group
comes together; a later start, after another node was lost or joined, costs none. Each launcher forks its trainers. No
GPU is touched before that: what is forked could not use it.

Standard input is a socket of the node's program (`warm_process.py`): a message with torchrun's words, and two files for
stdout and stderr, is answered by the launcher's pid and, once it has ended, its exit code. One line on standard output
says when all is imported.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import stat
import sys
from pathlib import Path

from model_code import train
from model_code.errors import run_stage
from model_code.launch import main as launch
from model_code.parallel import end_with_launcher

LONGEST = 1 << 17
"""Bytes of a message: torchrun's words."""


def main() -> None:
    """Fork until the node's program ends."""
    end_with_launcher()
    import torch.utils.tensorboard  # noqa: F401 - what a run imports on its way

    train.make_repeatable()  # which imports half of torch's compiler
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    connection = socket.socket(fileno=sys.stdin.fileno())
    gc.freeze()  # what is shared with the forked stays shared
    while True:
        message, files, _, _ = socket.recv_fds(connection, LONGEST, 2)
        if not message:
            return
        pid = os.fork()
        if not pid:
            connection.close()
            _become_launcher(json.loads(message), files)
        for file in files:
            os.close(file)
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become_launcher(words: list[str], files: list[int]) -> None:
    """Go on as torchrun does, in a session of its own; never return."""
    code = 1
    try:
        os.setsid()
        end_with_launcher()
        for file, number in zip((os.open(os.devnull, os.O_RDONLY), *files), range(3), strict=True):
            os.dup2(file, number)
            os.close(file)
        code = launch(words, train_here)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def train_here(words: list[str]) -> None:
    """Train in this process, which torchrun has forked."""
    _let_go_of_sockets()
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)  # torchrun's own are inherited
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    sys.argv[1:] = words
    run_stage(train.main)
    if asked:  # torchrun waits for our end, while its own code below would wait for a word from torchrun
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _let_go_of_sockets() -> None:
    """Take nothing in for torchrun: its store, which a trainer would keep open, seems to live when torchrun is gone.

    Their numbers stay taken: torchrun's objects, of which this process has copies, know them.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        try:
            if number > 2 and stat.S_ISSOCK(os.fstat(number).st_mode):
                os.dup2(nothing, number)
        except OSError:
            continue  # the listing's own
    os.close(nothing)


if __name__ == "__main__":
    main()
