"""The command `v2vbench`: the subcommands that dvc.yaml runs, and those for users."""

import argparse
import contextlib
import sys
from pathlib import Path

from v2vbench import __version__
from v2vbench.params import Fault, load, root


def parser() -> argparse.ArgumentParser:
    """The parser of all subcommands and their arguments."""
    command = argparse.ArgumentParser(
        "v2vbench",
        description="Which video-to-video method is better, by how much, how sure are we? "
        "`dvc repro` answers with a report; these are its parts.",
    )
    command.add_argument("--version", action="version", version=__version__)
    verbs = command.add_subparsers(dest="verb", required=True, metavar="verb")
    verbs.add_parser("doctor", help="what this machine can do, and what a missing part would cost")
    verbs.add_parser("check", help="check params.yaml against the code that it names")
    _add_score(verbs)
    use = verbs.add_parser("use", help="write suites/<suite>.yaml as params.yaml")
    use.add_argument("suite")
    use.add_argument("--videos", type=Path, metavar="PATH", help="with the suite own: a folder of videos, or one video")
    use.add_argument(
        "--source", choices=["edges", "labels", "landmarks", "pose"], help="what they are made from; default: edges"
    )
    use.add_argument("--labels", type=Path, metavar="FOLDER", help="of label maps, for --source labels")
    use.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="px, multiples of 8")
    use.add_argument("--licence", metavar="TEXT", help="of the videos")
    use.add_argument("--force", action="store_true", help="even if params.yaml holds changes that git does not have")
    bring = verbs.add_parser("import-checkpoint", help="make a run from a checkpoint of the paper's own code")
    bring.add_argument(
        "folder",
        type=Path,
        help="with <epoch>_net_G0.pth, ... or <epoch>_net_G.pth; or the file of a single-image generator",
    )
    bring.add_argument("name", help="of the new run")
    bring.add_argument(
        "--dataset", required=True, metavar="KEY", help="a line of datasets, whose source the networks take"
    )
    bring.add_argument("--epoch", default="latest")
    bring.add_argument(
        "--foreground", nargs="+", default=[], metavar="LABEL", help="labels that the foreground network paints"
    )
    out = verbs.add_parser("export", help="write what another method needs to make videos of a data set's test clips")
    out.add_argument("dataset", help="a line of datasets, whose data are there")
    out.add_argument("--out", type=Path, metavar="FOLDER", help="default: export/<dataset> in the project")
    out.add_argument("--train", action="store_true", help="training clips as well, with all their real frames")
    out.add_argument("--video", action="store_true", help="the source in colours as MP4, to look at")
    videos = verbs.add_parser("import-videos", help="make a run of videos that another method made")
    videos.add_argument("folder", type=Path, help="a video or a folder of pictures for every test clip, with its name")
    videos.add_argument("name", help="of the new run, or of one whose videos are new")
    videos.add_argument("--dataset", required=True, metavar="KEY", help="a line of datasets, whose test clips they are")
    videos.add_argument("--title", help="of the run in tables; default: its name")
    fetch = verbs.add_parser("fetch", help="download the pretrained weights that some metrics need")
    fetch.add_argument("what", choices=["weights"])
    fetch.add_argument("names", nargs="*", help="of v2vbench/download/weights.py; all if none is given")
    publish = verbs.add_parser("publish", help="write results/<suite>: figures, weights and report of the run here")
    publish.add_argument("suite")
    publish.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="whose weights are published; all that were trained here"
    )
    run = verbs.add_parser("run", help="execute the notebook of one stage (dvc.yaml does)")
    run.add_argument("stage", help="data, train, synthesize, calibrate, evaluate, future, styles or compare")
    run.add_argument("key", help="a line of params.yaml: a data set, a run, a predictor")
    sources = verbs.add_parser(
        "sources",
        help="write clean copies of the notebooks, and digests of the code that each stage runs (dvc.yaml does)",
    )
    sources.add_argument(
        "--strip", action="store_true", help="clean the files in notebooks/ themselves, before a commit"
    )
    inputs = verbs.add_parser("inputs", help="list the files of earlier stages that params.yaml names (dvc.yaml does)")
    inputs.add_argument("name", help="scoring, future, compare or report: who reads them")
    verbs.add_parser("report", help="write reports/index.html (dvc.yaml does)")
    apart = verbs.add_parser(
        "diff", help="what differs between two comparisons, beyond the intervals or not; writes reports/diff.html"
    )
    names = "a suite in results/, a folder or file of results, or a revision of git"
    apart.add_argument("a", help=names)
    apart.add_argument("b", nargs="?", default=".", help=f"{names}; default: metrics/compare.json as it is")
    every = verbs.add_parser(
        "repro", help="check, then `dvc repro` with independent stages in parallel (`make repro` does)"
    )
    every.add_argument(
        "--jobs",
        type=int,
        default=0,
        metavar="N",
        help="stages at a time; default: one per core, fewer where memory or a GPU is short",
    )
    every.add_argument("--dry", action="store_true", help="only say what is stale, and which edit made it so")
    return command


def _add_score(verbs) -> None:
    """The subcommand `score`, which needs no project."""
    score = verbs.add_parser(
        "score",
        help="score videos of your own against real ones; needs no project",
        description="Score generated videos against real ones: values with intervals, and verdicts against the first "
        "of several --fake. Exit code 0: scored; 1: an input or argument is wrong, one line says which; 2: no such "
        "option; 130: interrupted, the same command goes on.",
    )
    score.add_argument(
        "--real", required=True, metavar="PATH", help="a folder of videos or of folders of pictures, a video, a store"
    )
    score.add_argument(
        "--fake",
        required=True,
        action="append",
        metavar="[TITLE=]PATH",
        help="the same, of a method; may be given several times, the first is what the others are compared with",
    )
    score.add_argument("--out", metavar="FOLDER", help="write scores.json, scores.csv, clips.csv and a page there")
    score.add_argument("--json", metavar="FILE", help="write scores.json to FILE as well, or to standard output: -")
    score.add_argument(
        "--metrics", nargs="+", default=["all"], metavar="NAME", help="which are then the primary ones; default: all"
    )
    score.add_argument("--size", metavar="WxH", help="crop and resize all frames to one size")
    score.add_argument("--fps", type=float, help="resample video files by their time stamps")
    score.add_argument("--skip", type=int, default=0, metavar="N", help="first frames of a clip that are not scored")
    score.add_argument("--max-frames", type=int, metavar="N", help="first frames of a clip that are used")
    score.add_argument("--cut", type=int, metavar="N", help="cut every video into parts of N frames")
    score.add_argument(
        "--pair",
        choices=["names", "common", "none"],
        default="names",
        help="names: all clips by name (default); common: those that all sides have; none: compare sets alone",
    )
    score.add_argument(
        "--flow",
        choices=["estimated", "raft", "given"],
        default="estimated",
        help="motion of the real videos: OpenCV's DIS (default), RAFT, or that of a clip store",
    )
    score.add_argument(
        "--calibrate", action="store_true", help="also score real clips with known damage, and cheats; takes long"
    )
    score.add_argument(
        "--cache", metavar="FOLDER", default="default", help="of what was scored before; none: keep nothing"
    )


def _score(args: argparse.Namespace) -> None:
    from v2vbench.scoring import command

    command.run(args)


def _use(args: argparse.Namespace, folder: Path) -> None:
    """Write a suite to params.yaml; with --videos the suite `own`, filled in for them."""
    keys = ("source", "labels", "size", "licence")
    settings = {key: value for key in keys if (value := getattr(args, key)) is not None}
    if args.videos:
        from v2vbench.runner.video_suite import use_videos

        use_videos(args.suite, args.videos, args.force, folder, **settings)
    elif settings:
        raise Fault(f"use: --{min(settings)} goes with --videos PATH")
    else:
        from v2vbench.runner.suites import use

        use(args.suite, args.force, folder)


def _fetch(names: list[str]) -> None:
    """Download weights; where there is a project, list in its weights.json what is there, after a failure too."""
    from v2vbench.download import weights

    try:
        weights.fetch(names or None)
    finally:
        with contextlib.suppress(Fault):  # no project: `score` uses whatever weights are there
            weights.write_manifest(root())


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; returns the exit code: 0, or 1 after one line on stderr, or 130 after an interruption.

    Each subcommand imports only what it needs, so that it starts fast.
    """
    args = parser().parse_args(argv)
    try:
        if args.verb in ("score", "run", "sources", "report"):
            # jsonschema, which nbformat imports, would spend more than a second per stage on the grammar of addresses.
            sys.modules.setdefault("rfc3987_syntax", None)  # pyright: ignore[reportArgumentType] - None: not importable
        if args.verb == "score":
            _score(args)
            return 0
        if args.verb == "fetch":
            _fetch(args.names)
            return 0
        folder = root()
        if args.verb == "run":
            from v2vbench.runner import notebook

            notebook.run(args.stage, args.key, folder)
        elif args.verb == "sources":
            from v2vbench.runner import copies, digests

            copies.write_cleaned(folder, "notebooks" if args.strip else "build/notebooks")
            if not args.strip:
                digests.write_code(load(folder / "params.yaml"), folder)
                digests.write_placeholder_weights(folder)
                digests.write_published_weights(load(folder / "params.yaml"), folder)
        elif args.verb == "inputs":
            from v2vbench.runner import digests

            digests.write_inputs(load(folder / "params.yaml"), args.name, folder)
        elif args.verb == "repro":
            from v2vbench.runner.check import load_checked
            from v2vbench.runner.repro import n_jobs, repro

            load_checked(folder)
            repro(folder, args.jobs or n_jobs(), dry=args.dry)
        elif args.verb == "report":
            from v2vbench.report import write

            write(load(folder / "params.yaml"), folder)
        elif args.verb == "diff":
            from v2vbench.report import diff

            page, words = diff.write(args.a, args.b, folder)
            print(f"{words}\n\n{page}")
        elif args.verb == "check":
            from v2vbench.runner.check import load_checked, slow_precision
            from v2vbench.runner.duration import duration

            params = load_checked(folder)
            n = len(params.datasets)
            print(f"params.yaml is sound: suite {params.suite}, {n} data set{'s' * (n > 1)}, {len(params.runs)} runs")
            if takes := duration(params):
                print(f"A whole run takes {takes}")
            if warning := slow_precision(params):
                print(f"params.yaml: {warning}")
        elif args.verb == "use":
            _use(args, folder)
        elif args.verb == "publish":
            from v2vbench.runner.publish import publish

            print(publish(args.suite, load(folder / "params.yaml"), folder, args.runs))
        elif args.verb == "import-checkpoint":
            from v2vbench.reference.checkpoints import bring

            print(
                bring(
                    args.folder, args.name, folder, dataset=args.dataset, epoch=args.epoch, foreground=args.foreground
                )
            )
        elif args.verb == "export":
            from v2vbench.runner.export import export

            params = load(folder / "params.yaml")
            print(export(args.dataset, params, folder, args.out, train=args.train, video=args.video))
        elif args.verb == "import-videos":
            from v2vbench.runner.import_videos import import_videos

            print(import_videos(args.folder, args.name, folder, dataset=args.dataset, title=args.title))
        elif args.verb == "doctor":
            from v2vbench.runner import doctor

            return 0 if doctor.main(folder) else 1
    except (Fault, OSError) as error:  # OSError: a full disk, no permission
        print(f"v2vbench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("v2vbench: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
