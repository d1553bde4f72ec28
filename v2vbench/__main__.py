"""The command `v2vbench`: the subcommands that dvc.yaml runs, and those for users."""

import argparse
import contextlib
import sys
from pathlib import Path

from v2vbench.params import Fault, load, root
from v2vbench.runner.arguments import parser


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
        if args.verb == "study":
            from v2vbench.people import command

            command.run(args)
            return 0
        folder = root()
        if args.verb == "run":
            from v2vbench.runner import notebook

            notebook.run(args.stage, args.key, folder)
        elif args.verb == "work":
            from v2vbench.stages._group import work

            work(args.stage, args.key, folder)
        elif args.verb == "plan":
            from v2vbench.planning import command

            command.run(args, folder)
        elif args.verb == "pack":
            from v2vbench.runner import pack

            pack.run(args, folder)
        elif args.verb == "unpack":
            from v2vbench.runner import unpack

            unpack.run(args, folder)
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
        elif args.verb in ("repro", "schedule"):
            from v2vbench.runner.check import load_checked
            from v2vbench.runner.repro import repro

            load_checked(folder)
            repro(folder, args.jobs, dry=args.dry, executor=args.executor or "")
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
        whole = args.verb == "study" and args.part == "make"
        left = "nothing was written" if whole else "the same command goes on from here"
        print(f"v2vbench: interrupted; {left}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
