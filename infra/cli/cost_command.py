"""`skylift cost`: what a stack may cost before it is launched, or which instance type to choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from infra.cli.options import Json
from infra.cli.output import print_json
from infra.cli.stack_file import stack_settings

if TYPE_CHECKING:
    from infra.compare import Offer
    from infra.cost import Estimate
    from infra.prices import Prices

STACK, CHOICE = "A stack", "Which instance type"
"""The two groups of options: either of them."""
COLUMNS = (
    ("type", False), ("GPUs", False), ("GPU GiB", True), ("GPU GB/s", True), ("vCPU", True), ("GiB", True),
    ("disk GB", True), ("Gbit/s", True), ("EFA", True), ("encrypted", False), ("on demand", True), ("spot", True),
    ("a GPU GiB", True),
)  # fmt: skip
"""Of the comparison: heading, and whether it holds numbers."""
WIDEST = 144
"""Characters that the comparison needs."""


def cost(
    stack: Annotated[
        str, typer.Option(help="The stack whose settings are read.", rich_help_panel=STACK)
    ] = "dev",
    stored_gb: Annotated[float, typer.Option(min=0, help="GB in the buckets.", rich_help_panel=STACK)] = 100,
    nat_gb: Annotated[float, typer.Option(min=0, help="GB a month through NAT.", rich_help_panel=STACK)] = 50,
    gpu_memory: Annotated[
        float,
        typer.Option(
            min=0, help="GB of memory that a GPU must have, as sold (24, 48, 80).", rich_help_panel=CHOICE
        ),
    ] = 0,
    bandwidth: Annotated[
        float,
        typer.Option(min=0, help="GB/s of memory bandwidth that a GPU must have.", rich_help_panel=CHOICE),
    ] = 0,
    efa: Annotated[
        bool,
        typer.Option("--efa", help="Only types with the Elastic Fabric Adapter.", rich_help_panel=CHOICE),
    ] = False,
    region: Annotated[
        str, typer.Option(help="Region of the prices; empty: the stack's.", rich_help_panel=CHOICE)
    ] = "",
    as_json: Json = False,
) -> None:
    """Estimate what a stack costs, by the hour and by the month. Nothing is asked of AWS.

    With --gpu-memory, --bandwidth or --efa: compare the instance types that have it.
    """
    from infra.compare import Wish, offers  # with what they need: only who asks pays it
    from infra.cost import estimate
    from infra.cost_parts import Usage
    from infra.prices import price_date, prices

    if gpu_memory or bandwidth or efa:
        here = prices(region or stack_settings(stack).region)
        found = offers(Wish(memory_gb=gpu_memory, bandwidth_gbs=bandwidth, efa=efa), here)
        if as_json:
            print_json(comparison(found, here, price_date()))
        else:
            console = Console()
            console.width = max(console.width, WIDEST)
            console.print(comparison_table(found, here, price_date()))
        return
    result = estimate(stack_settings(stack), Usage(stored_gb=stored_gb, nat_gb=nat_gb))
    if as_json:
        print_json(result.as_output())
    else:
        Console().print(estimate_table(result))


def estimate_table(result: Estimate) -> Group:
    """Return an estimate as people read it: a line a part, the sums, and what it does not know."""
    table = Table(
        title=f"{result.stack} in {result.region}: an estimate, in US dollars", title_justify="left"
    )
    table.add_column("")
    for column in ("an hour", "a month"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("counted", overflow="fold")
    for part in result.parts:
        month = part.month(result.hours)
        table.add_row(part.name, span((part.low, part.high), digits=3), span(month), part.note)
    table.add_section()
    always = f"nodes {result.hours:g} hours a month, all else 730"
    table.add_row("in all", span(result.hour), span(result.month), always, style="bold")
    said = [
        f"Prices of {result.price_date}. An estimate, not an offer: without taxes, discounts and data sent out.",
        *(f"{note[0].upper()}{note[1:]}." for note in result.notes),
    ]
    return Group(table, *(Text(one, style="dim") for one in said))


def comparison(found: Sequence[Offer], here: Prices, priced: str) -> dict[str, object]:
    """Return a comparison as one object."""
    return {
        "isAnEstimate": f"from prices of {priced}",
        "region": here.region,
        "priceDate": priced,
        "types": [one.as_json() for one in found],
    }


def comparison_table(found: Sequence[Offer], here: Prices, priced: str) -> Group:
    """Return a comparison as people read it: what a type can do, then what it costs."""
    table = Table(title=f"Instance types in {here.region}, the cheapest first", title_justify="left")
    for column, right in COLUMNS:
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for one in found:
        table.add_row(*cells(one))
    said = [
        f"Prices of {priced}, in US dollars an hour: an estimate. Spot: lowest and highest that was seen.",
        "GPU GB/s: memory bandwidth of one GPU. Encrypted: between nodes, by the hardware. Disk: NVMe of the node.",
    ]
    if here.region != here.asked:
        said.append(f"No prices of {here.asked} in the table: those of {here.region} stand in.")
    if any(one.price is None for one in found):
        said.append(f"- : no on-demand price in {here.region}; not sold there, or in capacity blocks alone.")
    if any(one.price and one.price.remembered for one in found):
        said.append("* : a price from memory, to be checked.")
    return Group(table, *(Text(one, style="dim") for one in said))


def cells(one: Offer) -> list[str]:
    """Return a type's row."""
    kind, price, by_memory = one.type, one.price, one.usd_per_gpu_gb
    return [
        kind.name,
        f"{kind.gpus} {kind.gpu_name}",
        f"{kind.gpu_memory_gb:g}",
        f"{kind.gpu_bandwidth_gbs}",
        f"{kind.vcpus}",
        f"{kind.memory_gb:g}",
        f"{kind.instance_store_gb or '-'}",
        f"{kind.network_gbps:g}",
        f"{kind.efa_cards or '-'}",
        "yes" if one.encrypted else "no",
        f"{price.on_demand:.2f}{'*' if price.remembered else ''}" if price else "-",
        span((price.spot_low, price.spot_high)) if price and kind.spot_ok else "-",
        "-" if by_memory is None else f"{by_memory:.4f}",
    ]


def span(both: tuple[float, float], digits: int = 2) -> str:
    """Return a range of dollars; one number where both ends look the same."""
    low, high = (f"{one:,.{digits}f}" for one in both)
    return low if low == high else f"{low} - {high}"
