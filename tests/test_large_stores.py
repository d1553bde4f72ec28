"""Stores of many clips: written shard by shard, opened without their entries, read by many threads at once."""

import hashlib
import io
import json
import random
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain

import numcodecs
import numpy as np
import pytest
import torch
import zarr
from conftest import facts, sliding_clip
from scipy import stats
from zarr.codecs import BloscCodec
from zarr.storage import MemoryStore, ZipStore

from benchmarks import scaling
from v2vbench import params
from v2vbench.clips import _shards
from v2vbench.clips import store as stores
from v2vbench.clips.store import KINDS, Frames, Store, write_store
from v2vbench.clips.windows import Windows
from v2vbench.params import Fault, SingleFrames
from v2vbench.stages._same_clips import same_clips
from v2vbench.statistics import verdicts

SIZE = (8, 16)
SPLITS = ("train", "seen", "train", "unseen")


@pytest.fixture
def shards_of_three(monkeypatch):
    monkeypatch.setattr(stores, "SHARD", 3)


def clip(seed, n_frames=None, kind="real"):
    """Made-up arrays of 1 to 11 frames; every third clip has depth too."""
    rng, n = np.random.default_rng(seed), n_frames or 1 + seed % 11
    arrays = {
        kind: rng.integers(0, 255, (n, *SIZE, 3), np.uint8),
        "flow": rng.normal(size=(n - 1, *SIZE, 2)).astype(np.float16),
    }
    return arrays | ({"depth": np.zeros((n, *SIZE), np.float16)} if seed % 3 == 2 else {})


def pairs(n, **changes):
    for i in range(n):
        about = dict(id=f"c{i}", split=SPLITS[i % 4], origin=f"video {i}", licence="none")
        if i % 5:
            about["cluster"] = f"k{i // 5}"
        yield about, clip(i) | changes


def write(path, n, **changes):
    write_store(path, facts(size=SIZE), pairs(n, **changes))
    return path


@pytest.fixture
def large(tmp_path, shards_of_three):
    """Eleven clips in four shards."""
    return Store(write(tmp_path / "x.zip", 11))


def entries_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def by_hand(pairs_of_clips, size=SIZE):
    """The bytes of a small store, made with zarr and zipfile: the format that published hashes rest on."""
    content, index = io.BytesIO(), []
    with zipfile.ZipFile(content, "w") as file:

        def add(folder, arrays, attributes):
            held = {}
            group = zarr.open_group(MemoryStore(held), mode="w", attributes=attributes)
            for name, array in arrays.items():
                shuffle = "noshuffle" if array.dtype == np.uint8 else "bitshuffle"
                codec, chunks = BloscCodec(cname="zstd", clevel=3, shuffle=shuffle), (8, *array.shape[1:])
                made = group.create_array(name, shape=array.shape, dtype=array.dtype, chunks=chunks, compressors=codec)
                made[:] = array
            for name in sorted(arrays):
                of_array = [key for key in held if key.startswith(f"{name}/c/")]
                for key in (*sorted(of_array, key=lambda key: int(key.split("/")[2])), f"{name}/zarr.json"):
                    file.writestr(zipfile.ZipInfo(folder + key), held[key].to_bytes())
            file.writestr(zipfile.ZipInfo(f"{folder}zarr.json"), held["zarr.json"].to_bytes())

        add("", {}, {"v2vbench": "clip store"})
        for number, (about, arrays) in enumerate(pairs_of_clips):
            add(f"{number:05d}/", arrays, {})
            sha = hashlib.sha256()
            for name in sorted(arrays):
                sha.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode() + arrays[name].tobytes())
            n = len(arrays["real"])
            entry = {"cluster": about["id"]} | about | {"n_frames": n, "arrays": sorted(arrays)}
            index.append(entry | {"sha256": sha.hexdigest()})
        about = {"facts": asdict(facts(size=size)), "clips": index}
        file.writestr(zipfile.ZipInfo("index.json"), json.dumps(about, sort_keys=True))
    return content.getvalue()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_small_stores_keep_their_bytes(tmp_path, shards_of_three, n):
    assert write(tmp_path / "x.zip", n).read_bytes() == by_hand(pairs(n))


@pytest.mark.parametrize("size", [SIZE, (64, 96)])
@pytest.mark.parametrize("n", [1, 8, 9, 16, 50])
def test_chunks_are_written_as_zarr_does_it(tmp_path, size, n):
    """Those of zeros are left out, those of negative zeros are not; large ones are compressed in threads."""
    rng = np.random.default_rng(n)
    arrays = {
        "real": rng.integers(0, 7, (n, *size, 3), np.uint8),
        "label": np.zeros((n, *size), np.uint8),
        "instance": rng.integers(0, 2**16, (n, *size), np.uint16),
        "depth": np.full((n, *size), -0.0, np.float16),
        "keypoints": np.full((n, 4, 3), np.nan, np.float32),
        "flow": rng.normal(size=(n - 1, *size, 2)).astype(np.float16),
    }
    arrays["real"][8:16] = 0
    made = [(dict(id="c0", split="train"), arrays)]
    write_store(tmp_path / "x.zip", facts(size=size), made)
    assert (tmp_path / "x.zip").read_bytes() == by_hand(made, size)
    read = Store(tmp_path / "x.zip").read("c0")
    assert all(np.array_equal(read[name], array, equal_nan=name == "keypoints") for name, array in arrays.items())


@pytest.mark.skipif(numcodecs.__version__ != "0.16.6", reason="another version of zstd may compress to other bytes")
def test_small_stores_have_the_hash_that_they_had_before_there_were_shards(tmp_path):
    rng, shape = np.random.default_rng(20), {"T": 20, "t": 19, "H": 32, "W": 64, "2": 2, "3": 3, "C": 5, "P": 7, "D": 2}
    arrays = {
        name: rng.integers(0, 200, [shape[a] for a in axes]).astype(dtype) for name, (dtype, axes) in KINDS.items()
    }
    arrays |= {"maps": arrays["maps"] * 0, "occluded": arrays["occluded"] // 199}
    made = [
        (dict(id="c0", split="train", origin="here"), arrays),
        (dict(id="c1", split="seen", cluster="c"), {"real": arrays["real"][:1]}),
        (dict(id="c2", split="train"), sliding_clip(1, 9)),
    ]
    write_store(tmp_path / "x.zip", facts(), made)
    assert (
        hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest()
        == "b12de6aa0e86ec316b9f9874b872ce334d8fef7fae6f605537b6cc25f898084d"
    )


def test_the_shards_are_small_stores(tmp_path, large):
    found = entries_of(large.path)
    assert list(found) == [*(f"shards/{i:05d}.zip" for i in range(4)), "index.json"]
    listed = list(pairs(11))
    for i in range(4):
        assert found[f"shards/{i:05d}.zip"] == by_hand(listed[3 * i : 3 * i + 3])
    (tmp_path / "one.zip").write_bytes(found["shards/00001.zip"])
    group = zarr.open_group(ZipStore(tmp_path / "one.zip", mode="r"), mode="r")
    assert np.array_equal(group["00001/real"][:], clip(4)["real"])
    assert Store(tmp_path / "one.zip").clips["c4"] == large.clips["c4"] | {"number": 1}
    assert not list(tmp_path.glob("*.partial"))


def test_a_store_of_shards_is_read_like_a_small_one(tmp_path, large, monkeypatch):
    monkeypatch.setattr(stores, "SHARD", 1000)
    small = Store(write(tmp_path / "small.zip", 11))
    assert "shards/00000.zip" not in entries_of(small.path)
    assert list(large.clips) == list(small.clips) and len(large.clips) == 11
    assert dict(large.clips) == small.clips and large.facts == small.facts
    assert "c10" in large.clips and "c11" not in large.clips and None not in large.clips
    for name in ("train", "seen", "unseen", "other"):
        assert large.split(name) == small.split(name)
    assert large.sha256 == small.sha256
    for i, key in enumerate(small.clips):
        brief = large.brief(key)
        assert brief.items() <= small.clips[key].items() and brief.keys() >= {"split", "n_frames", "cluster", "arrays"}
        whole = large.read(key)
        assert whole.keys() == small.read(key).keys() == clip(i).keys()
        assert all(np.array_equal(whole[name], array) for name, array in clip(i).items())
        parts = [part for _, part in large.stream(key, n=3)]
        assert np.array_equal(np.concatenate([part["flow"] for part in parts]), clip(i)["flow"])
    large.verify()
    with pytest.raises(KeyError):
        large.brief("c11")
    with pytest.raises(KeyError):
        large.clips["c11"]


def test_equal_content_is_equal_bytes_whole_or_in_pieces(tmp_path, large):
    def lazily():
        for about, arrays in pairs(11):
            whole = [(name, array) for name, array in arrays.items()]
            yield about, {name: Frames(len(array), iter([array[:1], array[1:]])) for name, array in whole}

    write_store(tmp_path / "y.zip", facts(size=SIZE), lazily())
    assert (tmp_path / "y.zip").read_bytes() == large.path.read_bytes()


def test_the_identity_is_of_ids_splits_and_arrays(tmp_path, large):
    def other(change):
        made = [({**about, **(change if about["id"] == "c7" else {})}, arrays) for about, arrays in pairs(11)]
        write_store(tmp_path / "y.zip", facts(size=SIZE, title="Another"), made)
        return Store(tmp_path / "y.zip").sha256

    assert other({}) == other({"origin": "elsewhere"}) == large.sha256
    assert len({large.sha256, other({"id": "d7"}), other({"split": "seen"})}) == 3
    assert Store(write(tmp_path / "z.zip", 10)).sha256 != large.sha256


def refuse(*args):
    raise AssertionError("an entry was read")


def test_opening_and_windows_read_no_entry(tmp_path, large, monkeypatch):
    monkeypatch.setattr(_shards.Clips, "_page", refuse)
    store = Store(large.path)
    assert list(store.clips) == [f"c{i}" for i in range(11)] and store.split("seen") == ["c1", "c5", "c9"]
    assert store.sha256 == large.sha256 and "c3" in store.clips and store.brief("c10")["cluster"] == "c10"
    windows = Windows(
        store, n_frames=2, n_warmup=3, batch_size=4, seed=0, double_every=0, drop_parts=0.0, arrays=("real", "flow")
    )
    assert windows.batch(0)["real"].shape[0] == 4
    assert store.read("c5")["real"].shape[0] == 6
    with pytest.raises(AssertionError, match="an entry was read"):
        store.clips["c0"]


def test_few_pages_are_in_memory(large, monkeypatch):
    monkeypatch.setattr(_shards, "PAGES", 2)
    order = random.Random(0).sample(range(11), 11)
    assert [large.clips[f"c{i}"]["origin"] for i in order] == [f"video {i}" for i in order]
    assert len(large.clips._read) == 2


def test_few_places_of_clips_are_in_memory(large, monkeypatch):
    monkeypatch.setattr(stores, "ENTRIES", 12)
    for i in (*range(11), *range(11)):
        assert np.array_equal(large.read(f"c{i}")["real"], clip(i)["real"])
        assert sum(len(arrays.entries) for arrays in large._open.values()) == large._n_entries <= 12


def listed_ends(lengths, n_frames):
    """As `Windows` had them before: all of them."""
    return [(key, end) for key, length in lengths.items() for end in range(n_frames, length + 1)]


@pytest.mark.parametrize("double_every", [0, 4])
@pytest.mark.parametrize("single", [0, 6])
@pytest.mark.parametrize("n_frames, n_warmup, n_past", [(3, 0, 1), (2, 5, 3), (4, 20, 4), (1, 2, 2), (11, 9, 10)])
def test_the_draws_are_those_of_the_list(large, n_frames, n_warmup, n_past, single, double_every):
    lengths = {f"c{i}": 1 + i for i in range(0, 11, 2)}
    windows = Windows(
        large,
        n_frames=n_frames,
        n_warmup=n_warmup,
        batch_size=5,
        seed=3,
        double_every=double_every,
        drop_parts=0.0,
        arrays=("real",),
        single_frames=SingleFrames(steps=single, batch_size=7, blur=0.0, noise=0.0) if single else "none",
        n_past=n_past,
    )
    ends = listed_ends(lengths, n_frames)
    assert list(windows.ends) == ends and len(windows.ends) == len(ends)
    for step in range(16):
        rng, n_windows = np.random.default_rng([3, step]), 5
        longest = n_frames + min(n_warmup, 11 - n_frames)
        if step < single:
            n_windows, n = 7, n_past + 1
        else:
            if double_every:
                longest = min(longest, n_frames * 2 ** (step // double_every))
            n = n_frames + int(rng.integers(longest - n_frames + 1))
        fitting = [(key, end) for key, end in ends if end >= n]
        drawn = [fitting[i] for i in rng.integers(len(fitting), size=n_windows)]
        wanted = [torch.from_numpy(clip(int(key[1:]))["real"][end - n : end]) for key, end in drawn]
        batch = windows.batch(step)
        got = ((batch["real"] + 1) * 127.5).round().to(torch.uint8).permute(0, 1, 3, 4, 2)
        assert torch.equal(got, torch.stack(wanted))


def test_places_outside_the_list_are_errors(large):
    windows = Windows(
        large, n_frames=2, n_warmup=0, batch_size=1, seed=0, double_every=0, drop_parts=0.0, arrays=("real",)
    )
    for number in (-1, len(windows.ends)):
        with pytest.raises(IndexError):
            windows.ends[number]


def test_threads_read_what_one_reads(large):
    windows = Windows(
        large, n_frames=2, n_warmup=3, batch_size=3, seed=1, double_every=0, drop_parts=0.0, arrays=("real", "flow")
    )
    alone = [windows.batch(step) for step in range(60)]
    again = Windows(
        Store(large.path),
        n_frames=2,
        n_warmup=3,
        batch_size=3,
        seed=1,
        double_every=0,
        drop_parts=0.0,
        arrays=("real", "flow"),
    )
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(again.batch, range(60))):
            assert all(torch.equal(one[name], other[name]) for name in ("real", "flow"))
        keys = [f"c{i % 11}" for i in range(200)]
        for key, entry in zip(keys, pool.map(again.store.clips.__getitem__, keys)):
            assert entry["origin"] == f"video {key[1:]}"


@pytest.mark.parametrize("good", [2, 3, 4, 6, 7])
def test_an_interrupted_write_leaves_the_old_store(tmp_path, shards_of_three, good):
    path = write(tmp_path / "x.zip", 4)
    before = path.read_bytes()

    def crash():
        yield from pairs(good)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(path, facts(size=SIZE), crash())
    assert path.read_bytes() == before
    for left in tmp_path.glob("*.partial"):
        with pytest.raises(Fault, match="not a whole clip store"):
            Store(left)
    assert write(path, 7).is_file() and not list(tmp_path.glob("*.partial"))
    Store(path).verify()


def test_wrong_clips_of_later_shards_are_named(tmp_path, shards_of_three):
    path = tmp_path / "x.zip"
    wrong = dict(id="c7", split="train"), {"real": np.zeros((2, 4, 4, 3), np.uint8)}
    with pytest.raises(Fault, match="clip c7: real is uint8"):
        write_store(path, facts(size=SIZE), chain(pairs(7), [wrong]))
    with pytest.raises(Fault, match="clip c2: another clip has this id"):
        write_store(path, facts(size=SIZE), chain(pairs(7), [(dict(id="c2", split="train"), clip(0))]))
    assert not path.exists()


def test_memory_does_not_grow_with_the_number_of_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "SHARD", 10)

    def many(n):
        for i in range(n):
            about = dict(id=f"c{i}", split="train", about=str(i) * (20_000 // len(str(i))))
            yield about, {"real": np.zeros((1, *SIZE, 3), np.uint8)}

    def peak(n):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        write_store(tmp_path / "x.zip", facts(size=SIZE), many(n))
        store = Store(tmp_path / "x.zip")
        assert sum(len(entry["about"]) > 19_000 for entry in store.clips.values()) == n
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(20)  # what is imported once
        peaks = [peak(60), peak(240)]
    finally:
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 180 * 2_000, peaks  # the entries of the added clips are 3.6 MB


def test_positions_of_more_than_32_bits(tmp_path, shards_of_three, monkeypatch):
    """As in a file of more than 4 GB, most of which is a hole here."""
    append, hole = stores.append, 5 * 2**30

    def far_apart(outer, number, shard):
        append(outer, number, shard)
        outer.start_dir += hole if number == 0 else 0

    monkeypatch.setattr(stores, "append", far_apart)
    path = write(tmp_path / "x.zip", 11)
    store = Store(path)
    assert path.stat().st_size > hole and store.clips.place(3).start > hole
    store.verify()
    assert np.array_equal(store.read("c10")["real"], clip(10)["real"])


@pytest.mark.parametrize("n", [3, 11])
def test_sizes_of_more_than_32_bits(tmp_path, shards_of_three, monkeypatch, n):
    """zipfile writes every size above a limit, here 100 bytes, in 64 bits."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    store = Store(write(tmp_path / "x.zip", n))
    store.verify()
    assert dict(store.clips)[f"c{n - 1}"]["origin"] == f"video {n - 1}"


def altered(path, position, to=None):
    content = bytearray(path.read_bytes())
    content[position] = content[position] ^ 255 if to is None else to
    path.write_bytes(content)
    return path


def test_damage_names_the_file_the_clip_and_the_array(tmp_path, large):
    whole = large.path.read_bytes()
    shard = whole.index(b"shards/00002.zip")
    chunk = whole.index(b"00001/flow/c/0/0/0/0", shard)  # of c7
    for position, to in ((chunk + 60, None), (chunk - 16, None), (chunk + 13, ord("1"))):  # content, header, name
        large.path.write_bytes(whole)
        store = Store(altered(large.path, position, to))
        with pytest.raises(Fault, match=r"x\.zip: clip c7, (flow|real|depth): .*delete the file and run `dvc repro`"):
            store.read("c7")
        assert np.array_equal(store.read("c6")["real"], clip(6)["real"])
        with pytest.raises(Fault, match="clip c7"):
            store.verify()
    large.path.write_bytes(whole)
    store = Store(altered(large.path, whole.index(b'"video 7"')))
    assert store.split("seen") == large.split("seen")
    with pytest.raises(Fault, match=r"x\.zip: shards/00002\.zip, index\.json: bad checksum.*delete the file"):
        store.clips["c6"]
    large.path.write_bytes(whole)
    with pytest.raises(Fault, match=r"x\.zip: clip c1, label: "):
        Store(large.path).read("c1", arrays=["label"])


def test_files_that_are_not_whole(large):
    whole, found = large.path.read_bytes(), entries_of(large.path)
    ends = [i + 22 for i in range(len(whole)) if whole.startswith(b"PK\5\6", i)]  # of the shards, and of the file
    assert len(ends) == 5 and ends.pop() == len(whole)
    for n in (100, *ends, *(end + 50 for end in ends), len(whole) // 2, len(whole) - 1):
        large.path.write_bytes(whole[:n])
        with pytest.raises(Fault, match="not a whole clip store"):
            Store(large.path)
    for name in found:
        with zipfile.ZipFile(large.path, "w") as file:
            for other in found.keys() - {name}:
                file.writestr(zipfile.ZipInfo(other), found[other])
        with pytest.raises(Fault, match="not a whole clip store"):
            Store(large.path)


def test_verify_finds_clips_that_are_not_those_written(large):
    """Every clip is whole, and together they are not what index.json was written for."""
    found = entries_of(large.path)
    about = json.loads(found["index.json"])
    about["sha256"] = "0" * 64
    with zipfile.ZipFile(large.path, "w") as file:
        for name, content in found.items():
            file.writestr(zipfile.ZipInfo(name), json.dumps(about) if name == "index.json" else content)
    with pytest.raises(Fault, match="its clips are not those written"):
        Store(large.path).verify()


@pytest.mark.parametrize("n", [3, 11])
def test_no_damage_gives_other_frames(tmp_path, shards_of_three, n):
    """Whatever byte of a file is altered, it reads as it was or says what is wrong in one line."""
    path, draw = write(tmp_path / "x.zip", n), random.Random(n)
    whole, faults = path.read_bytes(), 0
    for _ in range(150):
        position = draw.randrange(len(whole))
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << draw.randrange(8)]) + whole[position + 1 :])
        try:
            store = Store(path)
            assert list(store.clips) == [f"c{i}" for i in range(n)]
            for i, (about, arrays) in enumerate(pairs(n)):
                read = store.read(f"c{i}")
                assert read.keys() == arrays.keys() and about.items() <= store.clips[f"c{i}"].items()
                assert all(np.array_equal(read[name], array) for name, array in arrays.items())
        except Fault as fault:
            faults += 1
            assert "x.zip" in str(fault) and "\n" not in str(fault)
    assert faults > 75


def test_the_clips_of_a_run_are_compared_with_those_of_a_store(tmp_path, shards_of_three):
    store = Store(write_and(tmp_path / "x.zip", ((about, clip(i, 6)) for i, (about, _) in enumerate(pairs(11)))))
    tests = [key for key in store.clips if store.brief(key)["split"] != "train"]

    def fakes(keys):
        for key in keys:
            of = key.partition("@")[0]
            about = {name: store.clips[of][name] for name in ("split", "cluster")} | {"id": key, "given": 1}
            yield about | {"real_sha256": store.clips[of]["sha256"]}, {"fake": store.read(of)["real"]}

    protocol = params.load().protocol
    twice = Store(write_and(tmp_path / "fakes.zip", fakes([*tests, *(f"{key}@1" for key in tests)])))
    assert same_clips(store, twice, protocol) == (1, [1])
    with pytest.raises(Fault, match="clip c9@1 is missing"):
        same_clips(
            store, Store(write_and(tmp_path / "f.zip", fakes([*tests, *(f"{key}@1" for key in tests[:-2])]))), protocol
        )
    with pytest.raises(Fault, match="clip c0 is no test clip"):
        same_clips(store, Store(write_and(tmp_path / "g.zip", fakes([*tests, "c0"]))), protocol)


def write_and(path, made):
    write_store(path, facts(size=SIZE), made)
    return path


def test_sign_flips_of_many_clusters_take_little_memory(monkeypatch):
    """Sums drawn a part at a time are those of random signs: of their parity, spread and p, and never out of reach."""
    rng = np.random.default_rng(0)
    sums = verdicts._random_sums(np.ones(1003), 4000, 1)
    assert set(sums % 2) == {1} and abs(sums).max() < 6 * 1003**0.5
    assert sums.std() == pytest.approx(1003**0.5, rel=0.05) and abs(sums.mean()) < 5 * (1003 / 4000) ** 0.5
    monkeypatch.setattr(verdicts, "LARGE", 2**16)
    assert np.array_equal(verdicts._random_sums(np.ones(1003), 4000, 1), verdicts._random_sums(np.ones(1003), 4000, 1))
    for shift in (0.0, 0.04, 0.3):
        deltas = rng.normal(shift, 1, 3000)
        p = verdicts.sign_flip(deltas, n_flips=20_000, seed=0)
        assert p == pytest.approx(stats.ttest_1samp(deltas, 0).pvalue, abs=0.02)
    found = verdicts.decide({"m": {"run": deltas}}, alpha=0.05, power=0.8, correction="holm", n_flips=20_000, seed=0)
    assert found["m"]["run"].word == "worse" and found["m"]["run"].detectable == pytest.approx(0.0512, rel=0.05)


def test_the_level_of_many_clusters_is_that_of_the_family():
    assert [verdicts.holm_level(4, n, 0.05) for n in (1000, 1025, 100_000)] == [0.0125] * 3


@pytest.mark.slow  # commands of dvc, and flips of many signs
def test_scaling_is_measured(tmp_path, monkeypatch, shards_of_three):
    monkeypatch.setattr(scaling, "N_WINDOWS", 20)
    rows = []
    for n in (8, 12):
        (tmp_path / str(n)).mkdir()
        rows.append(scaling.measure(n, tmp_path / str(n)))
    lines = [line.strip("| ").split(" | ") for line in scaling.table(rows).splitlines()]
    assert lines[0] == ["clips", "8", "12", "12 / 8"] and {line[0] for line in lines[2:]} == rows[0].keys() - {"clips"}
    assert all(row[name] > 0 for row in rows for name in row if not name.endswith("MB"))
