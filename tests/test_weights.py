"""Weights come whole, are the file they claim to be, and their absence is told in one line."""

import hashlib
import importlib
import json
import os
import re
import sys

import numpy as np
import pytest
import torch
from test_fetch import fault, hurry, serving  # noqa: F401  hurry: a fixture that applies by itself

from v2vbench.download import archives, weights
from v2vbench.download.weights import Package, Weights
from v2vbench.params import Fault

BODIES = {name: np.random.default_rng(i).bytes(300_000) for i, name in enumerate(("whole", "prefix", "unknown"))}
SHA256 = {name: hashlib.sha256(body).hexdigest() for name, body in BODIES.items()}
FILES = {"whole": "whole.pth", "prefix": f"prefix-{SHA256['prefix'][:8]}.pth", "unknown": "unknown.pt"}


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Three entries of a server on this machine, the caches in tmp_path; yields the server."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for variable in ("V2VBENCH_WEIGHTS", "V2VBENCH_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(weights, "_hashes", {})
    with serving({f"/a/{FILES[name]}": body for name, body in BODIES.items()}) as server:
        known = {"whole": SHA256["whole"], "prefix": SHA256["prefix"][:8], "unknown": None}
        monkeypatch.setattr(
            weights,
            "TABLE",
            {
                name: Weights(
                    url=f"{server.url}/a/{file}?dl=1",
                    file=file,
                    sha256=known[name],
                    mb=0.3,
                    licence="none",
                    use="tests",
                    others=("other.pth",) if name == "whole" else (),
                )
                for name, file in FILES.items()
            },
        )
        yield server


def put(folder, name, body=None, file=None):
    path = folder / (file or FILES[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(BODIES[name] if body is None else body)
    return path


def test_fetch_brings_what_is_absent(table, tmp_path, capsys):
    hub = put(tmp_path / "torch/hub/checkpoints", "prefix")
    weights.fetch()
    told = capsys.readouterr().err
    assert "2 of 3 to download, 1 MB" in told
    assert "whole.pth, 0 MB, none; for tests" in told
    assert f"unknown: sha256 {SHA256['unknown']}" in told  # the hash that nobody published is told
    assert weights.find("prefix") == hub
    assert not (weights.cache() / FILES["prefix"]).exists()
    for name in ("whole", "unknown"):
        assert weights.path(name) == weights.cache() / FILES[name]
        assert weights.path(name).read_bytes() == BODIES[name]
    assert weights.manifest() == SHA256
    assert weights.why_absent(FILES) is None
    assert os.listdir(weights.cache() / "downloads") == []
    asked = len(table.seen)
    weights.fetch()
    assert len(table.seen) == asked == 2  # all there: nothing is asked


@pytest.mark.parametrize("name, expected", [("whole", SHA256["whole"]), ("prefix", SHA256["prefix"][:8])])
def test_wrong_bytes_are_not_kept(table, name, expected, capsys):
    table.plan = ["other bytes"]
    assert f"1 failed ({name})" in fault(weights.fetch, [name])
    told = capsys.readouterr().err
    assert f"/a/{FILES[name]}" in told
    assert "sha256 is" in told
    assert expected in told
    assert weights.find(name) is None
    assert [p for p in weights.cache().rglob("*") if p.is_file()] == []
    weights.fetch([name])
    assert weights.sha256(name) == SHA256[name]


def test_a_broken_download_goes_on(table, monkeypatch, capsys):
    monkeypatch.setattr(archives, "ATTEMPTS", 1)
    table.plan = ["break"]
    assert "run it again to resume" in fault(weights.fetch, ["prefix"])
    told = capsys.readouterr().err
    assert "put prefix-" in told
    assert "V2VBENCH_WEIGHTS" in told
    assert "V2VBENCH_DATA" not in told
    assert weights.find("prefix") is None  # a part is not a file
    weights.fetch(["prefix"])
    assert weights.path("prefix").read_bytes() == BODIES["prefix"]
    assert table.seen[-1][1].startswith("bytes=1")


def test_one_failure_does_not_stop_the_others(table, capsys):
    del table.files["/a/whole.pth"]
    message = fault(weights.fetch, ["whole", "prefix"])
    assert "1 failed (whole)" in message
    assert "V2VBENCH_MIRROR" in message
    assert [line for line in capsys.readouterr().err.splitlines() if "404" in line and "whole.pth" in line]
    assert weights.why_absent(["prefix"]) is None
    assert weights.find("whole") is None
    table.plan = ["404", "404"]
    assert "2 failed (whole, unknown)" in fault(weights.fetch)


def test_mirror(table, monkeypatch):
    table.files["/mirror/deep/unknown.pt"] = b"mirrored"
    monkeypatch.setenv("V2VBENCH_MIRROR", f"{table.url}/mirror/deep/")
    weights.fetch(["unknown"])
    assert table.seen == [("/mirror/deep/unknown.pt", None)]
    assert weights.path("unknown").read_bytes() == b"mirrored"
    assert "1 failed" in fault(weights.fetch, ["whole"])  # the mirror alone is asked


def test_where_files_are_looked_for(table, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(own))
    assert [weights.find(name) for name in FILES] == [None] * 3
    places = [put(folder, "whole") for folder in (tmp_path / "torch/hub/checkpoints", weights.cache(), own)]
    for place in reversed(places):  # one's own, then the cache, then torch.hub's
        assert weights.path("whole") == place
        place.unlink()
    assert weights.find("whole") is None
    other = put(own, "whole", file="other.pth")
    assert weights.path("whole") == other
    assert weights.manifest() == {"whole": SHA256["whole"]}
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(tmp_path / "missing"))
    assert "no such folder" in fault(weights.find, "whole")
    monkeypatch.delenv("V2VBENCH_WEIGHTS")
    assert weights.folders()[-1] == tmp_path / "torch/hub/checkpoints"
    monkeypatch.delenv("TORCH_HOME")
    assert weights.folders()[-1] == tmp_path / "cache/torch/hub/checkpoints"
    with monkeypatch.context() as patch:  # the same folder as torch itself names
        patch.setattr(torch.hub, "_hub_dir", None)
        assert str(weights.folders()[-1]) == os.path.join(torch.hub.get_dir(), "checkpoints")


def test_absent_is_one_line(table, tmp_path):
    assert weights.why_absent([]) is None
    assert (
        weights.why_absent(["whole"]) == "weights absent: whole (whole.pth, 0 MB): `v2vbench fetch weights` brings it"
    )
    line = weights.why_absent(["whole", "prefix"])
    files = f"whole (whole.pth, 0 MB), prefix ({FILES['prefix']}, 0 MB)"
    assert line == f"weights absent: {files}: `v2vbench fetch weights` brings them"
    put(weights.cache(), "prefix")
    for call in (weights.path, weights.sha256, weights.load):
        assert fault(call, "whole") == weights.why_absent(["prefix", "whole"])
    for call in (weights.find, weights.path, weights.sha256):
        assert "no 'nothing'; there are whole, prefix, unknown" in fault(call, "nothing")
    assert "no 'nothing'" in fault(weights.fetch, ["whole", "nothing"])
    assert table.seen == []


@pytest.mark.parametrize("name", ["whole", "prefix"])
def test_another_file_is_a_fault_and_not_absence(table, name, capsys):
    path = put(weights.cache(), name, BODIES[name][:-1] + b"!")
    calls = (
        weights.path,
        weights.sha256,
        weights.load,
        lambda name: weights.why_absent([name]),
        lambda name: weights.manifest(),
    )
    for call in calls:
        assert re.match(f"{path}: not the file its name says: .* delete it and run", fault(call, name))
    assert f"1 failed ({name})" in fault(weights.fetch, [name])
    assert f"{path}: not the file" in capsys.readouterr().err
    assert path.is_file()
    assert table.seen == []  # what is not ours is not deleted
    path.write_bytes(BODIES[name])
    assert weights.path(name) == path


def test_load(table, monkeypatch):
    put(weights.cache(), "unknown")
    assert "not a file of weights" in fault(weights.load, "unknown")
    torch.save({"w": torch.arange(3)}, weights.cache() / "unknown.pt")
    assert weights.load("unknown")["w"].tolist() == [0, 1, 2]
    torch.save({"w": weights.Package}, weights.cache() / "unknown.pt")
    assert "not a file of weights" in fault(weights.load, "unknown")  # nothing but tensors is unpickled


def test_manifest_follows_the_files(table, tmp_path):
    path = tmp_path / "weights.json"
    weights.write_manifest(tmp_path)
    assert path.read_text() == "{}\n"
    put(weights.cache(), "unknown")
    put(weights.cache(), "prefix")
    weights.write_manifest(tmp_path)
    first = path.read_bytes()
    assert (
        json.loads(first)
        == {name: SHA256[name] for name in ("prefix", "unknown")}
        == dict(sorted(json.loads(first).items()))
    )
    weights.write_manifest(tmp_path)
    assert path.read_bytes() == first
    put(weights.cache(), "unknown", b"another")
    weights.write_manifest(tmp_path)
    assert json.loads(path.read_text())["unknown"] == hashlib.sha256(b"another").hexdigest()


def test_a_file_is_hashed_once_while_it_stays(table, monkeypatch):
    path = put(weights.cache(), "unknown")
    hashed, true = [], weights.pooch.file_hash
    monkeypatch.setattr(weights.pooch, "file_hash", lambda file: hashed.append(file) or true(file))
    for _ in range(2):
        assert weights.sha256("unknown") == SHA256["unknown"]
        assert hashed == [path]
    memory = weights.cache() / "hashes.json"
    assert list(json.loads(memory.read_text())) == [str(path)]
    monkeypatch.setattr(weights, "_hashes", {})  # another process
    assert weights.sha256("unknown") == SHA256["unknown"]
    assert len(hashed) == 1
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert weights.sha256("unknown") == SHA256["unknown"]
    assert len(hashed) == 2
    memory.write_text('{"cut')
    monkeypatch.setattr(weights, "_hashes", {})
    assert weights.sha256("unknown") == SHA256["unknown"]
    assert len(hashed) == 3


def test_a_cache_that_cannot_be_written(table, tmp_path, monkeypatch, capsys):
    """Reading needs no cache; a download does, and says so in one line."""
    put(tmp_path / "torch/hub/checkpoints", "unknown")
    (tmp_path / "cache").write_text("a file in the way, for root may write everywhere")
    for _ in range(2):
        assert weights.manifest() == {"unknown": SHA256["unknown"]}
        assert weights.why_absent(["whole"])
    assert "1 failed (whole)" in fault(weights.fetch, ["whole"])
    told = [line for line in capsys.readouterr().err.splitlines() if "XDG_CACHE_HOME" in line]
    assert len(told) == 1
    assert str(weights.cache()) in told[0]
    assert table.seen == []
    with monkeypatch.context() as patch:
        for variable in ("HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
            patch.delenv(variable, raising=False)
        assert len(weights.folders()) == 2
        assert weights.why_absent(["whole"])


def test_packages_are_found_without_being_imported(table, tmp_path, monkeypatch, capsys):
    wanted = Package(
        needs=("made_up_models", "made_up_net"),
        files=("data/a.dat", "data/b.dat"),
        install="pip install made-up",
        mb=9,
        licence="none",
        use="tests",
    )
    monkeypatch.setitem(weights.TABLE, "faces", wanted)
    monkeypatch.syspath_prepend(tmp_path / "site")
    line = "weights absent: faces (packages made_up_models and made_up_net, 9 MB): `pip install made-up`"
    assert weights.why_absent(["faces"]) == fault(weights.path, "faces") == line
    assert weights.why_absent(["whole", "faces"]).endswith(
        "): `v2vbench fetch weights` brings them, and `pip install made-up`"
    )
    weights.fetch()  # told, no failure; asked for by name, one
    assert f"{line}, if you want it" in capsys.readouterr().err
    assert "1 failed (faces)" in fault(weights.fetch, ["faces"])
    for file in ("made_up_models/__init__.py", "made_up_net.py"):
        put(tmp_path / "site", "whole", b"raise SystemExit('imported')", file)
    put(tmp_path / "site/made_up_models", "whole", b"a", "data/a.dat")
    assert weights.why_absent(["faces"])  # a file is missing still
    put(tmp_path / "site/made_up_models", "whole", b"b", "data/b.dat")
    importlib.invalidate_caches()
    assert weights.path("faces") == tmp_path / "site/made_up_models"
    assert "made_up_models" not in sys.modules
    first = weights.manifest()["faces"]
    put(tmp_path / "site/made_up_models", "whole", b"another", "data/b.dat")
    assert weights.manifest()["faces"] != first
    assert len(first) == 64


def test_table_as_shipped():
    files = {name: entry for name, entry in weights.TABLE.items() if isinstance(entry, Weights)}
    names = [name for entry in files.values() for name in (entry.file, *entry.others)]
    assert len(set(names)) == len(names)  # one folder holds them all
    for name, entry in files.items():
        assert entry.url.startswith("https://"), name
        assert archives._name(entry.url) == entry.file, name
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{8}|[0-9a-f]{64}", entry.sha256), name
        digits = re.search(r"-([0-9a-f]{8})\.pth$", entry.file)
        assert not digits or entry.sha256.startswith(digits[1]), name
    from torchvision import models

    for name, builder in (
        ("alexnet", "AlexNet"),
        ("vgg16", "VGG16"),
        ("vgg19", "VGG19"),
        ("s3d", "S3D"),
        ("r2plus1d", "R2Plus1D_18"),
    ):
        published = getattr(
            models if hasattr(models, f"{builder}_Weights") else models.video, f"{builder}_Weights"
        ).DEFAULT
        size = published.meta["_file_size"] * 2**20 / 1e6
        assert published.url == weights.TABLE[name].url
        assert weights.TABLE[name].mb == pytest.approx(size, abs=0.1)
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert weights.TABLE["inception2015"].url == URL_INCEPTION_V3


@pytest.mark.network
def test_published_files_are_there():
    import requests

    for name, entry in weights.TABLE.items():
        if isinstance(entry, Weights):
            with requests.get(entry.url, stream=True, timeout=30) as answer:
                assert answer.ok, name
                assert abs(int(answer.headers["Content-Length"]) / 1e6 - entry.mb) < 1, name


def test_what_lies_on_a_machine_is_not_used_unnoted(tmp_path, monkeypatch):
    """A file of torch.hub's would otherwise fill one user's column and not another's, with both up to date for DVC."""
    monkeypatch.setenv("V2VBENCH_WEIGHTS", str(tmp_path))
    assert weights.why_unusable([], tmp_path) is None
    assert weights.why_unusable(["i3d_videogpt"], tmp_path).startswith("weights absent: i3d_videogpt (")
    (tmp_path / "i3d_pretrained_400.pt").write_bytes(b"any bytes: no hash of it is known")
    says = "weights not listed: i3d_videogpt, here but not in weights.json: `v2vbench fetch weights` lists them"
    assert weights.why_unusable(["i3d_videogpt"], tmp_path) == says
    weights.write_manifest(tmp_path)
    assert weights.why_unusable(["i3d_videogpt"], tmp_path) is None
    (tmp_path / "i3d_pretrained_400.pt").write_bytes(b"other bytes")
    assert weights.why_unusable(["i3d_videogpt"], tmp_path) == says
    (tmp_path / "weights.json").write_text("{")
    with pytest.raises(Fault, match="weights.json: not whole"):
        weights.why_unusable(["i3d_videogpt"], tmp_path)
