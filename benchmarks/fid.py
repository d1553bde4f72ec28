"""Speed of FID from PNG files, beside torch-fidelity's and pytorch-fid's: same files, same weights, one run."""

import argparse
import contextlib
import inspect
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import cv2
import numpy as np
import scipy.linalg
import torch

from benchmarks import models
from v2vbench.download import weights
from v2vbench.extractors import _resizes as resizes
from v2vbench.extractors import inception2015
from v2vbench.params import Fault

ROUNDS = 3  # in turn, so that a slow minute of the machine affects all alike
SETS = (((512, 1024), 64), ((256, 512), 64))  # size of the frames, and how many a folder has
CHUNK = 64  # frames decoded ahead of the network
N_ROWS, N_CLIPS, N_CLIP_FRAMES = 512, 32, 8  # of the jackknife; frames per made-up clip
OURS, THEIRS = "v2vbench", ("torch-fidelity", "pytorch-fid")


def folder_rows(folder: Path, extractor) -> np.ndarray:
    """Rows of an extractor of single frames for each PNG file of a folder, by name, (n, D) float32; sizes may differ.

    Files are decoded and resized on as many threads as torch has, a chunk ahead of the network.
    raises    Fault where there is no PNG file, or one that cannot be read
    """
    files = sorted(Path(folder).glob("*.png"))
    if not files:
        raise Fault(f"{folder}: no PNG files")

    def image(file: Path) -> torch.Tensor:
        frame = cv2.imdecode(
            np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        )
        if frame is None:
            raise Fault(f"{file}: not a picture; replace it")
        return resizes.resize(frame[None], *extractor.resize)

    with ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        ahead, rows = [pool.submit(image, file) for file in files[:CHUNK]], []
        for start in range(CHUNK, len(files) + CHUNK, CHUNK):
            ready, ahead = ahead, [pool.submit(image, file) for file in files[start : start + CHUNK]]
            rows.append(extractor.extract(torch.cat([future.result() for future in ready])))
    return torch.cat(rows).numpy()


def random_weights(path: Path, seed: int = 0) -> Path:
    """Write made-up weights with the names and shapes of FID's Inception; activations stay of order 1 in all layers."""
    from torchvision.models import inception_v3

    with torch.device("meta"):
        plan = inception_v3(num_classes=1008, aux_logits=False, init_weights=False, transform_input=False)
    generator, state = torch.Generator().manual_seed(seed), {}
    for name, like in plan.state_dict().items():
        noise = torch.randn(like.shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(like.shape, dtype=like.dtype)
        elif like.ndim > 1:
            state[name] = noise * (2 / like[0].numel()) ** 0.5  # He et al. 2015
        else:  # norms near the identity
            state[name] = 0.1 * noise + (1 if name.endswith(("bn.weight", "running_var")) else 0)
    torch.save(state, path)
    return path


@contextlib.contextmanager
def made_up(path: Path) -> Iterator[None]:
    """Our network and pytorch-fid's take their weights from this file; torch-fidelity has an argument for that."""
    try:
        import pytorch_fid.inception
        import torch_fidelity  # noqa: F401
    except ImportError as error:
        raise Fault(f"{error.name} is what FID is compared with: pip install 'v2vbench[test]'") from error
    with (
        mock.patch.object(weights, "path", lambda name: path),
        mock.patch.object(
            pytorch_fid.inception, "load_state_dict_from_url", lambda url, progress: torch.load(path, weights_only=True)
        ),
    ):
        inception2015.network.cache_clear()
        try:
            yield
        finally:
            inception2015.network.cache_clear()


def fidelity_settings(path: Path) -> dict[str, Any]:
    """torch-fidelity as it ships, on the CPU."""
    settings = dict(cuda=False, cache=False, verbose=False, samples_shuffle=False)
    return settings | dict(feature_extractor_weights_path=str(path))


def extraction(folder: Path, path: Path) -> dict[str, Callable[[], np.ndarray]]:
    """{library: what makes rows of a folder}, networks built; the others with their default batches and workers."""
    import torch_fidelity.utils as fidelity
    from pytorch_fid import fid_score
    from pytorch_fid.inception import InceptionV3

    settings: dict[str, Any] = fidelity_settings(path) | dict(input1=str(folder))
    theirs = fidelity.create_feature_extractor("inception-v3-compat", ["2048"], **settings)
    older, files, ours = InceptionV3([3]), sorted(folder.glob("*.png")), inception2015.Extractor(resize="tf")
    return {
        OURS: lambda: folder_rows(folder, ours),
        THEIRS[0]: lambda: fidelity.extract_featuresdict_from_input_id(1, theirs, **settings)["2048"].numpy(),
        THEIRS[1]: lambda: fid_score.get_activations(files, older, num_workers=min(8, torch.get_num_threads())),
    }


def whole(folders: list[Path], path: Path) -> dict[str, Callable[[], float]]:
    """{library: what gives the FID of two folders}, networks included; pytorch-fid only where its scipy call exists."""
    import torch_fidelity
    from pytorch_fid import fid_score

    from v2vbench.metrics import frechet

    def ours() -> float:
        inception2015.network.cache_clear()
        fake, real = (folder_rows(folder, inception2015.Extractor(resize="tf")) for folder in folders)
        return frechet.compute(fake, real, np.arange(len(fake)), features="", divisor="n-1")

    def theirs() -> float:
        inputs = dict(input1=str(folders[0]), input2=str(folders[1]))
        metrics = torch_fidelity.calculate_metrics(**inputs, fid=True, **fidelity_settings(path))
        return metrics["frechet_inception_distance"]

    def older() -> float:
        return fid_score.calculate_fid_given_paths(
            [str(folder) for folder in folders], 50, "cpu", 2048, min(8, torch.get_num_threads())
        )

    has_disp = "disp" in inspect.signature(scipy.linalg.sqrtm).parameters  # gone since scipy 1.18
    return {OURS: ours, THEIRS[0]: theirs} | ({THEIRS[1]: older} if has_disp else {})


def written(folder: Path, size: tuple[int, int], n_frames: int, seed: int) -> Path:
    """A folder with PNG files of made-up video in clips of a few frames."""
    from benchmarks._clips import surrogate

    folder.mkdir()
    for start in range(0, n_frames, N_CLIP_FRAMES):
        for i, frame in enumerate(surrogate(size, N_CLIP_FRAMES, 1000 * seed + start)["real"][: n_frames - start]):
            cv2.imwrite(str(folder / f"{start + i:05d}.png"), frame[..., ::-1])
    return folder


def bench_path(n_rounds: int, sets=SETS, with_whole: bool = True) -> str:
    """A table: frames/s from PNG files to rows in turns, and once of a whole FID; and how far the results differ."""
    lines, results = [], {}

    def recorded(key, call: Callable) -> Callable[[], None]:
        """The call, made silently, with its result in `results`."""

        def record() -> None:
            with (
                contextlib.redirect_stderr(io.StringIO()),
                contextlib.redirect_stdout(io.StringIO()),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")  # of PyTorch and scipy about the others' code
                results[key] = call()

        return record

    with tempfile.TemporaryDirectory() as temporary:
        path = random_weights(Path(temporary, "weights.pth"))
        with made_up(path):
            rows = []
            for number, (size, n_frames) in enumerate(sets):
                folders = [written(Path(temporary, f"{number}-{side}"), size, n_frames, side) for side in range(2)]
                kinds = [("rows", extraction(folders[0], path), n_frames)]
                kinds += [("FID", whole(folders, path), 2 * n_frames)] if with_whole and not number else []
                for kind, calls, n in kinds:
                    about = kind, f"{size[1]}x{size[0]}", n
                    rows.append(
                        models.Row(about, n, {name: recorded((*about, name), call) for name, call in calls.items()})
                    )
            models.race([row for row in rows if row.about[0] == "rows"], n_rounds, 0)
            models.race([row for row in rows if row.about[0] == "FID"], 1, 0)
    for row in rows:
        faster = [min(times) for times in zip(*(row.times[name] for name in THEIRS if name in row.times))]
        ratios = [theirs / ours for theirs, ours in zip(faster, row.times[OURS])]
        values = {name: results[(*row.about, name)] for name in row.times}
        differences = [
            f"{np.abs(values[name] - values[OURS]).max() / np.abs(values[name]).max():.1e}" if name in values else "-"
            for name in THEIRS
        ]
        lines.append(
            [
                *row.about,
                *(row.rate(name) if name in row.times else "-" for name in (OURS, *THEIRS)),
                f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                *differences,
            ]
        )
    head = [
        "from PNG to",
        "size",
        "frames",
        *(f"{name}, frames/s" for name in (OURS, *THEIRS)),
        "times the faster of them",
        *(f"relative difference to {name}" for name in THEIRS),
    ]
    return models.table(head, lines)


def bench_jackknife(n_rounds: int) -> str:
    """Seconds for one FID and its value without each clip in turn, from rows."""
    from v2vbench.metrics import frechet

    rng, clips = np.random.default_rng(0), np.arange(N_ROWS) * N_CLIPS // N_ROWS
    fake, real = rng.normal(size=(2, N_ROWS, 2048))
    row = models.Row(
        (),
        1,
        {
            "jackknife": lambda: (
                frechet.compute(fake, real, clips, features="", divisor="n-1"),
                frechet.leave_one_out(fake, real, clips, features="", divisor="n-1"),
            )
        },
    )
    times = models.race([row], n_rounds, 0)[0].times["jackknife"]
    return (
        f"one FID with a jackknife over {N_CLIPS} clips, D = 2048, n = {N_ROWS}, from rows: {median(times):.2f} s "
        f"({min(times):.2f} to {max(times):.2f})"
    )


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fid", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="in turn (%(default)s)")
    parser.add_argument(
        "--frames",
        type=int,
        nargs=2,
        default=[n for _, n in SETS],
        metavar=("LARGE", "SMALL"),
        help="a folder, of 1024x512 and of 512x256 (%(default)s)",
    )
    parser.add_argument(
        "--only",
        choices=("rows", "jackknife"),
        help="rows: no whole FIDs, which take the others most of a minute; jackknife: no PNG files",
    )
    args = parser.parse_args(argv)
    print(bench_jackknife(args.rounds), flush=True)
    if args.only != "jackknife":
        sets = [(size, n) for (size, _), n in zip(SETS, args.frames) if n]
        print(
            f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.rounds} rounds\n"
            + bench_path(args.rounds, sets, args.only is None),
            flush=True,
        )


if __name__ == "__main__":
    main()
