"""In an archive, which is one flat folder, this makes the files in it importable as they are in the repository.

TorchServe puts the unpacked archive first on `sys.path`: `serve_config` is then this module, and its `__path__`
makes it a package of the files beside it. In the repository nothing imports it.
"""

from pathlib import Path

__path__ = [str(Path(__file__).parent)]
