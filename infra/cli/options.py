"""Options that several commands share, and the words that they become for a stage."""

from __future__ import annotations

from typing import Annotated

import typer

Out = Annotated[str, typer.Option(help="Folder or s3:// URI for data, runs and releases.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")]
Recipe = Annotated[
    str, typer.Option(help="resnet, bert, gpt or path/to/file.py:function; empty: by the data.")
]
Data = Annotated[str, typer.Option(help="digits, images:DIR, text:FILE, tokens:FILE or ready shards.")]
Nproc = Annotated[int, typer.Option(min=1, help="Training processes on this machine.")]
Workers = Annotated[int, typer.Option(min=1, help="TorchServe workers.")]
Models = Annotated[str, typer.Option(help="s3:// URI of the cloud's releases; with --key, instead of --out.")]
Key = Annotated[str, typer.Option(help="ARN of the KMS key that signs them.")]
Name = Annotated[str, typer.Option(help="The model's name.")]
OnError = Annotated[str, typer.Option(help="A sample that cannot be read: refuse, or skip and list it.")]
LabelColumn = Annotated[str, typer.Option(help="Column of the labels: name, or number from 1; empty: found.")]
TextColumn = Annotated[str, typer.Option(help="Column of the texts: name, or number from 1; empty: found.")]
Header = Annotated[str, typer.Option(help="Whether the first row holds names: auto, yes or no.")]
ImageSize = Annotated[int, typer.Option(help="Pixels of an image's sides; 0: fits the data, at most 64.")]


def words(**options: str | int) -> list[str]:
    """Return `--option value` for every option that is set; empty and 0 leave the stage's own default."""
    pairs = [(f"--{key.replace('_', '-')}", str(value)) for key, value in options.items() if value]
    return [word for pair in pairs for word in pair]
