"""The command `v2vbench plan`: its arguments, and the table that it prints."""

import sys
from argparse import Namespace
from pathlib import Path

from v2vbench.params import Fault, Params, load, shorten

NOT_A_TERMINAL = 140  # characters a line in a file
OF_CPUS = ("on CPUs", "computed with NumPy", "made elsewhere")  # notes of stages that take no GPU


def add(verbs) -> None:
    """The parser of the subcommand."""
    plan = verbs.add_parser(
        "plan",
        help="what a suite would take of a GPU: memory, arithmetic and hours; needs no GPU",
        description="Compute the memory and the arithmetic of every stage of a suite by tensors without content, and "
        "the hours that a card would take. It needs no GPU, and mostly no data.",
    )
    plan.add_argument("suite", nargs="?", help="of suites/; default: params.yaml as it is")
    plan.add_argument("--gpu", default="h100", metavar="NAME", help="the card; default: h100")
    plan.add_argument("--devices", type=int, default=1, metavar="N", help="cards of one training; default: 1")
    plan.add_argument(
        "--utilisation",
        type=float,
        default=0.3,
        metavar="SHARE",
        help="of the card's peak that a training reaches; default: 0.3",
    )


def run(args: Namespace, folder: Path) -> None:
    """Print the table of a suite; raises Fault where an argument is wrong, before anything is computed."""
    from v2vbench.planning.cards import card_of

    card = card_of(args.gpu)
    if args.devices < 1:
        raise Fault(f"--devices {args.devices}: at least 1")
    if not 0 < args.utilisation <= 1:
        raise Fault(f"--utilisation {args.utilisation:g}: a share of the card's peak, above 0 and up to 1")
    params = _params(args.suite, folder)

    from v2vbench.planning.plan import Planner
    from v2vbench.progress import progress

    planner = Planner(params, folder, card, devices=args.devices, utilisation=args.utilisation)
    lines = list(progress(planner.lines(), f"plan {params.suite}", unit="stage", total=planner.n_lines))
    show(lines, planner, sys.stdout)


def _params(suite: str | None, folder: Path) -> Params:
    if suite is None:
        return load(folder / "params.yaml")
    from v2vbench.runner.suites import load_suite

    path = folder / "suites" / f"{suite}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(other.stem for other in path.parent.glob("*.yaml"))) or "none"
        raise Fault(f"plan: no suite {shorten(suite)!r} in suites; there are {names}")
    return load_suite(path)


def show(lines: list, planner, stream) -> None:
    """Print the lines as a table, and what they do not count."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    card = planner.card
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else NOT_A_TERMINAL)
    cards = f"{planner.devices} x {card.title}" if planner.devices > 1 else card.title
    title = f"{planner.params.suite} on {cards}, at {100 * planner.utilisation:.3g} % of its peak"
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left")
    table.add_column("stage", no_wrap=True)
    for name in ("precision", "GPUs", "windows at a time", "GB", "PFLOP", "time"):
        table.add_column(name, justify="right")
    table.add_column("", overflow="fold")
    for line in lines:
        over = line.memory is not None and line.memory > card.room
        table.add_row(
            Text(f"{line.stage} {line.key}"),
            line.precision,
            str(line.devices) if line.micro else "",
            f"{line.micro[0]} of {line.micro[1]}" if line.micro else "",
            Text(f"{line.memory / 1e9:.1f}" if line.memory is not None else "", style="red" if over else ""),
            f"{line.flops / 1e15:.3g}" if line.flops is not None else "",
            time_of(line.hours) if line.hours is not None else "",
            Text(line.note, style="red" if over else "dim"),
        )
    table.add_section()
    counted = [line for line in lines if line.memory is None or line.memory <= card.room]
    hours = sum(line.hours or 0 for line in counted)
    table.add_row(
        "in all", "", "", "", "", f"{sum(line.flops or 0 for line in counted) / 1e15:.3g}", time_of(hours), ""
    )
    console.print(table)
    for text in below(lines, planner):
        console.print(Text(text))


def time_of(hours: float) -> str:
    """Hours as people say them: 40 s, 12 min, 5.2 h."""
    if hours >= 1:
        return f"{hours:.1f} h"
    minutes = 60 * hours
    if minutes >= 1:
        return f"{minutes:.0f} min"
    return f"{60 * minutes:.0f} s" if not 0 < 60 * minutes < 1 else "< 1 s"


def below(lines: list, planner) -> list[str]:
    """What the figures are and are not."""
    card = planner.card
    rates = f"bf16 {card.bf16 or 'none'}, TF32 {card.tf32 or 'none'}, float32 {card.fp32} TFLOP/s dense"
    said = [
        f"{card.title}: {rates}, {card.memory_gb:g} GB, of which {(card.memory_gb * 1e9 - card.room) / 1e9:g} are kept "
        "for CUDA and cuDNN.",
        "GB: weights, gradients, Adam's state, moving average, saved and temporary tensors; not the workspaces of "
        "cuDNN or the gaps between tensors.",
        "PFLOP: convolutions and matrix products alone. Time: these at the given share of the peak of the precision; "
        "TF32 is used in precision tf32 alone. Not counted: reading clips, checkpoints, calibrate, styles and report. "
        "Small networks and frames wait for kernels to start, and reach a smaller share.",
    ]
    over = sum(line.memory is not None and line.memory > card.room for line in lines)
    unknown = sum(bool(line.note) and line.hours is None and not line.note.startswith(OF_CPUS) for line in lines)
    if over or unknown:
        said.append(f"Not in the sum: {over} stages that do not fit on this card, {unknown} without hours.")
    if card.bf16 is None and any(line.precision == "bf16-mixed" for line in lines):
        said.append("This card has no bf16 units: bf16-mixed is reckoned at its rate of float32, and may be slower.")
    return said
