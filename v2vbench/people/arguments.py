"""The arguments of `v2vbench study`."""

from pathlib import Path


def add(verbs) -> None:
    """Add the subcommand `study` to those of `v2vbench`."""
    parts = verbs.add_parser(
        "study", help="ask people which of two videos is better: make a study, read answers, plan its size"
    ).add_subparsers(dest="part", required=True, metavar="part")
    _add_make(parts)
    _add_read(parts)
    _add_power(parts)
    _add_learn(parts)


def _add_make(parts) -> None:
    make = parts.add_parser("make", help="write the folder that raters open in a browser, and its key")
    make.add_argument("--dataset", required=True, metavar="KEY", help="a line of datasets, whose data are there")
    make.add_argument("--group", required=True, metavar="KEY", help="of its test clips")
    make.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="lines of runs; default: all runs of the data set"
    )
    make.add_argument("--question", choices=["look", "motion", "fit"], default="look", help="default: look")
    make.add_argument("--raters", type=int, required=True, metavar="N", help="how many; `study power` says")
    make.add_argument(
        "--trials", type=int, metavar="N", help="of a rater, 3 catches and 3 repeats among them; default: 30 at most"
    )
    make.add_argument("--seed", type=int, help="of names, order and sides; default: drawn, and kept in the key")
    make.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="what raters get; nothing else is in it"
    )
    make.add_argument("--consent", type=Path, metavar="FILE", help="a text that raters agree to, UTF-8")
    make.add_argument("--post", metavar="URL", help="a receiver of yours for the answers; default: raters save a file")
    make.add_argument("--simulated", action="store_true", help="a rehearsal: its answers never count as people's")
    make.add_argument("--force", action="store_true", help="replace the study that is in FOLDER")
    rules = make.add_argument_group("raters who are left out; fixed now, kept in the key")
    rules.add_argument("--failed-catches", type=int, default=0, metavar="N", help="catches failed, at most; default: 0")
    rules.add_argument(
        "--hurried-ms",
        type=int,
        default=300,
        metavar="MS",
        help="median time after the first loop, at least; default: 300",
    )
    rules.add_argument(
        "--one-side", type=float, default=0.9, metavar="SHARE", help="of answers for one side, at most; default: 0.9"
    )
    rules.add_argument(
        "--answered", type=float, default=0.5, metavar="SHARE", help="of trials answered, at least; default: 0.5"
    )


def _add_read(parts) -> None:
    read = parts.add_parser("read", help="check answers, leave out careless raters, write votes/<dataset>.jsonl")
    read.add_argument("files", type=Path, nargs="+", metavar="FILE", help="of answers, one a rater")
    read.add_argument("--dry", action="store_true", help="only say what would be counted")


def _add_power(parts) -> None:
    power = parts.add_parser(
        "power", help="how many raters tell a share from a half; needs no project", description=POWER
    )
    power.add_argument("--share", type=float, required=True, help="of votes for the better method, 0.51 to 0.99")
    power.add_argument("--power", type=float, default=0.8, help="wished: chance to find it; default: 0.8")
    power.add_argument(
        "--raters", type=int, nargs="+", default=[5, 10, 20, 40], metavar="N", help="default: 5 10 20 40"
    )
    power.add_argument(
        "--trials", type=int, metavar="N", help="of a rater, 3 catches and 3 repeats among them; default: 30 at most"
    )
    power.add_argument("--clips", type=int, default=24, metavar="N", help="test clips of the group; default: 24")
    power.add_argument(
        "--pairs", type=int, default=1, metavar="N", help="of methods, which share the votes; default: 1"
    )
    for name, default, words in (
        ("rater-effect", 0.5, "how far raters differ, standard deviation of a method's log odds"),
        ("clip-effect", 0.5, "how far clips differ, the same"),
        ("lapse", 0.05, "share of votes given blindly"),
        ("tie", 0.2, "of Davidson's model; 0.2: 9 %% of votes between equals are \"can't tell\""),
        ("confidence", 0.95, "of the interval that leaves out a half"),
    ):
        power.add_argument(f"--{name}", type=float, default=default, metavar="X", help=f"{words}; default: {default}")
    power.add_argument("--studies", type=int, default=300, metavar="N", help="simulated, a line; default: 300")
    power.add_argument("--plot", type=Path, metavar="FILE", help="draw the table as well: .png, .svg or .pdf")
    power.add_argument("--seed", type=int, default=0)


POWER = (
    "Independent votes are counted by the sign test. Votes of one rater are alike, and so are votes on one clip: "
    "studies with simulated raters show what that costs."
)


def _add_learn(parts) -> None:
    learn = parts.add_parser("learn", help="learn what people prefer from votes that others have published")
    learn.add_argument("name", choices=["bapps", "bvi_vfi"], help="whose votes; docs/published_votes.md")
    learn.add_argument("--from", dest="source", required=True, metavar="PLACE", help="a folder, a URL, or download")
    learn.add_argument("--subset", nargs="+", default=[], metavar="NAME", help="parts of it; default: all")
    learn.add_argument("--limit", type=int, metavar="N", help="pairs, at most: a quick try; default: all")
