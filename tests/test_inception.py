"""FID's network and preprocessing against other libraries, all with the same random weights, so without downloads."""

import cv2
import numpy as np
import pytest
import torch
from conftest import sliding_clip
from PIL import Image

from benchmarks import fid as bench_fid
from v2vbench.download import weights
from v2vbench.extractors import _resizes as resizes
from v2vbench.extractors import inception2015
from v2vbench.metrics import frechet, kernel
from v2vbench.params import Fault

N_FRAMES = 8
OWN_PATH = weights.path  # as it is before the fixture below replaces it


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """The file of weights, which all libraries are given in this module."""
    path = bench_fid.random_weights(tmp_path_factory.mktemp("weights") / "weights.pth")
    with bench_fid.made_up(path):
        yield path


@pytest.fixture(scope="module")
def pytorch_fid(made_up):
    from pytorch_fid.inception import InceptionV3

    return InceptionV3([3]).eval()


@pytest.fixture(scope="module")
def torch_fidelity(made_up):
    from torch_fidelity.utils import create_feature_extractor

    return create_feature_extractor("inception-v3-compat", ["2048"], **bench_fid.fidelity_settings(made_up))


@pytest.fixture(scope="module")
def videos():
    """Frames that differ: a sharp world that slides, and a dark and blurred one."""
    sharp, other = (sliding_clip(seed, N_FRAMES, (64, 96))["real"] for seed in range(2))
    return np.stack([cv2.GaussianBlur(frame, (5, 5), 2) for frame in other]) // 2, sharp


@pytest.fixture(scope="module")
def folders(videos, tmp_path_factory):
    """The same as PNG files."""
    root = tmp_path_factory.mktemp("png")
    for name, video in zip("fr", videos):
        (root / name).mkdir()
        for i, frame in enumerate(video):
            Image.fromarray(frame).save(root / name / f"{i:03d}.png")
    return root / "f", root / "r"


def rows(frames, resize="tf"):
    own = inception2015.Extractor(resize=resize)
    return own.extract(resizes.resize(frames, *own.resize))


def nchw(frames):
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()


@torch.inference_mode()
def others(policy, frames, pytorch_fid, torch_fidelity):
    """Rows by the library of a resize policy; clean-fid's network is a download, so its input goes to pytorch-fid's."""
    if policy == "tf":
        return torch_fidelity(nchw(frames))[0]
    if policy == "torch-bilinear":
        return pytorch_fid(nchw(frames) / 255)[0][..., 0, 0]
    if policy == "torch-antialias":
        from torchmetrics.image.fid import NoTrainInceptionV3

        torch_fidelity.use_antialias = True  # its network is torch-fidelity's with another beginning
        return NoTrainInceptionV3._torch_fidelity_forward(torch_fidelity, nchw(frames))[0]
    channels = [
        Image.fromarray(channel).resize((299, 299), Image.BICUBIC)
        for channel in nchw(frames).float().flatten(0, 1).numpy()
    ]
    x = (torch.from_numpy(np.stack(channels)).clamp(0, 255).unflatten(0, (-1, 3)) - 128) / 128
    for block in pytorch_fid.blocks:
        x = block(x)
    return x[..., 0, 0]


@pytest.mark.parametrize("policy", inception2015.PROTOCOLS)
def test_rows_are_those_of_the_library_whose_protocol_it_is(policy, videos, pytorch_fid, torch_fidelity):
    frames = np.concatenate([video[:1] for video in videos])
    own, theirs = rows(frames, policy), others(policy, frames, pytorch_fid, torch_fidelity)
    assert own.shape == theirs.shape == (2, 2048) and own.dtype == torch.float32
    assert 0.1 < theirs.std() < theirs.max() < 100  # made-up weights that neither die nor explode
    assert (own - theirs).abs().max() < 1e-5 * theirs.max()


def test_protocols_are_told_apart(videos):
    found = {policy: inception2015.Extractor(resize=policy) for policy in inception2015.PROTOCOLS}
    assert (
        found["tf"].titles == {"frechet": "FID", "kernel": "KID"} and found["tf"].ids["frechet"] == "fid-inception2015"
    )
    assert (
        found["pil-bicubic"].titles["frechet"] == "FID (clean-fid)"
        and found["torch-antialias"].ids["kernel"] == "kid-torchmetrics1.8"
    )
    assert (
        len({own.ids["frechet"] + own.rows for own in found.values()}) == len({own.rows for own in found.values()}) == 4
    )
    assert all(policy == own.resize[0] for policy, own in found.items())


def test_folding_is_exact(made_up, pytorch_fid):
    """In float64 nothing is left of what batch norms folded and pools put after convolutions may change."""
    x = torch.rand(1, 3, 299, 299, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    state, theirs = torch.load(made_up, weights_only=True), x
    pytorch_fid.double()
    with torch.inference_mode():
        for block in pytorch_fid.blocks:
            theirs = block(theirs)
        own = inception2015.Network(state, torch.float64)(x)
    pytorch_fid.float()
    assert (own - theirs[..., 0, 0]).abs().max() < 1e-12 * theirs.max()


def test_rows_do_not_depend_on_company_or_cores(videos, made_up):
    frames, n_threads = np.concatenate(videos)[5:10], torch.get_num_threads()
    whole = rows(frames)
    assert torch.equal(whole[2:4], rows(frames[2:4])) and torch.equal(whole.flip(0), rows(frames[::-1]))
    try:
        torch.set_num_threads(3)
        assert torch.equal(whole, rows(frames)) and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(n_threads)


def test_weights_of_another_network_are_refused(made_up):
    state = torch.load(made_up, weights_only=True)
    for change in ({"fc.weight": torch.zeros(1000, 2048)}, {"AuxLogits.fc.bias": torch.zeros(1000)}):
        with pytest.raises(RuntimeError, match=next(iter(change))):
            inception2015.Network(state | change, torch.float32)
    with pytest.raises(RuntimeError, match="Mixed_7c.branch_pool.bn.running_var"):
        inception2015.Network(
            {name: x for name, x in state.items() if name != "Mixed_7c.branch_pool.bn.running_var"}, torch.float32
        )


def test_absent_weights_are_told(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "path", OWN_PATH)
    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    with pytest.raises(Fault, match="6726825d"):
        rows(videos[0])


def test_fid_and_kid_from_files_are_torch_fidelitys(folders, made_up):
    """Equal to 1e-6, through decoding, resize, folded network and algebra; with few rows covariances are singular."""
    import torch_fidelity

    theirs = torch_fidelity.calculate_metrics(
        input1=str(folders[0]),
        input2=str(folders[1]),
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=N_FRAMES,
        save_cpu_ram=True,
        **bench_fid.fidelity_settings(made_up),
    )
    fake, real = (bench_fid.folder_rows(folder, inception2015.Extractor(resize="tf")) for folder in folders)
    clips = np.arange(N_FRAMES)
    fid = frechet.compute(fake, real, clips, features="", divisor="n-1")
    kid = kernel.compute(fake, real, clips, features="", pairs="all")
    assert fid == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    assert kid / 1000 == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)


def test_formulas_are_torch_fidelitys_at_full_rank():
    """On equal rows, with more of them than features."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    generator = torch.Generator().manual_seed(0)
    fake, real = (
        torch.randn(200, 64, dtype=torch.float64, generator=generator) * scale + scale for scale in (1.0, 1.5)
    )
    fid = fid_statistics_to_metric(fid_features_to_statistics(fake), fid_features_to_statistics(real), False)[
        "frechet_inception_distance"
    ]
    kid = kid_features_to_metric(fake, real, kid_subsets=1, kid_subset_size=200, verbose=False)[
        "kernel_inception_distance_mean"
    ]
    own = fake.numpy(), real.numpy(), np.arange(200)
    assert frechet.compute(*own, features="", divisor="n-1") == pytest.approx(fid, rel=1e-9)
    assert kernel.compute(*own, features="", pairs="all") / 1000 == pytest.approx(kid, rel=1e-9)


class Colours:
    """An extractor whose rows are the frame's first pixel."""

    resize = ("tf", 8)

    def extract(self, images):
        return images[:, :, 0, 0]


def test_folders_are_read_whole_in_order_and_as_rgb(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_fid, "CHUNK", 3)
    rng = np.random.default_rng(0)
    for i, mode in enumerate(["RGB", "RGBA", "L", "RGB", "P", "RGB", "RGBA"]):
        picture = Image.fromarray(rng.integers(0, 256, (8 + i, 16, 4 if mode == "RGBA" else 3), dtype=np.uint8))
        (picture.quantize(16) if mode == "P" else picture.convert(mode)).save(tmp_path / f"{i}.png")
    theirs = [np.asarray(Image.open(file).convert("RGB"))[0, 0] for file in sorted(tmp_path.glob("*.png"))]
    assert np.array_equal(bench_fid.folder_rows(tmp_path, Colours()), np.stack(theirs))
    (tmp_path / "5.png").write_bytes((tmp_path / "5.png").read_bytes()[:20])
    with pytest.raises(Fault, match=r"5\.png: not a picture"):
        bench_fid.folder_rows(tmp_path, Colours())
    (tmp_path / "none").mkdir()
    with pytest.raises(Fault, match="no PNG files"):
        bench_fid.folder_rows(tmp_path / "none", Colours())


def test_bench_prints(monkeypatch):
    monkeypatch.setattr(bench_fid, "N_ROWS", 64)
    assert "jackknife over 32 clips" in bench_fid.bench_jackknife(1)
    head, _, line = bench_fid.bench_path(1, (((32, 64), 2),), with_whole=False).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["rows", "64x32", "2"] and float(cells[-2]) < 1e-5 < 1e-2 < float(
        cells[-1]
    )  # pytorch-fid resizes otherwise
