"""The subcommands of `v2vbench` and their arguments."""

import argparse
from pathlib import Path

from v2vbench import __version__
from v2vbench.people import arguments as people


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
    people.add(verbs)
    _add_machines(verbs)
    every = verbs.add_parser(
        "repro",
        aliases=["schedule"],
        help="check, then `dvc repro` with independent stages in parallel (`make repro` does)",
    )
    every.add_argument(
        "--jobs",
        type=int,
        default=0,
        metavar="N",
        help="stages at a time; default: one per GPU, and one per core beside",
    )
    every.add_argument(
        "--executor",
        choices=["local", "slurm"],
        help="where stages run; default: local, or what V2VBENCH_EXECUTOR says; docs/scale.md",
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


def _add_machines(verbs) -> None:
    """The subcommands for other machines: several devices, GPUs that are not here, machines without internet."""
    work = verbs.add_parser(
        "work", help="do the work of a stage without its notebook, also under torchrun or srun; `repro` then takes it"
    )
    work.add_argument("stage", choices=["train", "synthesize", "evaluate"])
    work.add_argument("key", help="a line of runs, predictors or judges, whose inputs are there")
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
    pack_ = verbs.add_parser("pack", help="write a folder that trains a suite on a machine without internet or DVC")
    pack_.add_argument("suite", help="of params.yaml; its data must be here")
    pack_.add_argument("--out", type=Path, metavar="FOLDER", help="default: pack/<suite> in the project")
    pack_.add_argument(
        "--runs",
        nargs="+",
        default=[],
        metavar="KEY",
        help="lines of runs, predictors or judges, and what they start from; default: all",
    )
    unpack_ = verbs.add_parser("unpack", help="take back what the package of `v2vbench pack` has finished elsewhere")
    unpack_.add_argument("folder", type=Path, help="the package as it came back, or its folder done/")
