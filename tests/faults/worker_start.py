"""Where the time of a worker's start goes: `uv run python -m tests.faults.worker_start [--torch]`, seconds a step.

Each step is taken in one new process, in the order and the environment of a TorchServe worker.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from serve_config.torchserve import SITE
from tests.serving import picture, write_artifact
from tests.tiny_models import write_texts

STEPS = """
import time, resource
begun = time.monotonic()
def lap(step):
    global begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{step}: {time.monotonic() - begun:.2f} s, processor {used.ru_utime + used.ru_stime:.2f} s in all")
    begun = time.monotonic()
lap("interpreter")
import ts.model_service_worker; lap("TorchServe's worker")
from pathlib import Path; import sys
from serve_config.predictor import load; lap("our predictor")
found = load(Path(sys.argv[1])); lap("model")
found.answer([(sys.stdin.buffer.read(), sys.argv[2])]); lap("first answer")
"""


def main() -> None:
    """Write an artifact, start a worker's Python, print the steps."""
    torch = "--torch" in sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "artifact"
        if torch:
            folder.mkdir()
        artifact = write_texts(folder) if torch else write_artifact(folder)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({} if torch else {"PYTHONPATH": str(SITE)})
        request = (b'{"text": "to be"}', "application/json") if torch else (picture(1), "image/png")
        words = [sys.executable, "-c", STEPS, str(artifact), request[1]]
        subprocess.run(words, input=request[0], env=environment, check=True)


if __name__ == "__main__":
    main()
