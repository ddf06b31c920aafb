"""torchrun without its stack traces: the same launcher, the same words, and the trainers' own last line.

    python -m model_code.launch --standalone --nproc-per-node 2 -m model_code.train --recipe resnet --data URI ...

A trainer says in one line why it stops; torchrun would bury that line under a report of its own, and turn exit code 2
(bad input) into 1.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
from collections.abc import Callable

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import elastic_launch
from torch.distributed.run import config_from_args, parse_args, run


def main(words: list[str], entry: Callable[[list[str]], None] | None = None) -> int:
    """Run torchrun with these words; return the first failed trainer's exit code (1 or 2), or 128 + a signal's.

    Args:
        words: torchrun's own, and the trainers'.
        entry: what each trainer does, given its words, in a process forked from this one; None: the module that the
            words name is started.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        arguments = parse_args(words)  # type: ignore[no-untyped-call]
        # torchrun makes a folder for logs that it leaves; nothing of ours is in it, as nothing is redirected.
        with tempfile.TemporaryDirectory(prefix="skylift-launch-", ignore_cleanup_errors=True) as logs:
            arguments.log_dir = arguments.log_dir or logs
            if entry:
                _fork(arguments, entry)
            else:
                run(arguments)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        if failure.exitcode < 0:  # it could not say so itself
            killer = signal.Signals(-failure.exitcode).name
            sys.stderr.write(
                f"error: process {failure.local_rank} was killed by {killer}; start the same again\n"
            )
        return 2 if failure.exitcode == 2 else 1
    except SignalException as error:
        return 128 + int(error.sigval)
    except (RendezvousError, DistError) as error:
        reason = str(error).partition("\n")[0]
        sys.stderr.write(f"error: the trainers cannot meet any more ({reason}); start the same again\n")
        return 1
    return 0


def _fork(arguments: argparse.Namespace, entry: Callable[[list[str]], None]) -> None:
    arguments.start_method = "fork"
    config, _, _ = config_from_args(arguments)
    elastic_launch(config=config, entrypoint=entry)(arguments.training_script_args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
