"""`make bench`: the floor is the convolutions of the step and nothing else, and tables print. No time is asserted."""

from collections import Counter
from itertools import groupby

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as bench
from benchmarks import _clips, devices, models
from v2vbench.models import _image
from v2vbench.stages import synthesize

TINY = models.Setting(size=(32, 64), width=8, n_down=1, n_blocks=2)
FORWARD, BACKWARD = models.CONVOLUTIONS


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """Tiny settings, one round, one thread."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dict(N_CLIPS=1, N_FRAMES=8, ROUNDS=1, SIZES=(TINY.size,)).items():
            patch.setattr(bench, name, value)
        for name, value in dict(N_CLIPS=1, N_FRAMES=8).items():
            patch.setattr(_clips, name, value)
        patch.setattr(models, "SETTINGS", (TINY,))
        n = torch.get_num_threads()
        torch.set_num_threads(1)
        _image.Global.__name__ = (
            "Global1"  # FlopCounterMode keeps its total under the name Global, and would mix them up
        )
        yield
        _image.Global.__name__ = "Global"
        torch.set_num_threads(n)


@pytest.fixture(scope="module")
def store(tiny, tmp_path_factory):
    return bench.stored(tmp_path_factory.mktemp("bench"), TINY.size)[0]


def flops(call) -> Counter:
    """{forward or backward of convolutions: FLOPs} of a call, as PyTorch counts them; nothing else in a step counts."""
    with FlopCounterMode(display=False) as counter:
        call()
    counts = counter.get_flop_counts()["Global"]
    assert set(counts) <= {torch.ops.aten.convolution, torch.ops.aten.convolution_backward}
    return Counter(counts)


def forward_calls(model: nn.Module, call) -> list[tuple[nn.Module, int]]:
    """Every call of a convolution layer, and its multiply-adds: a weight once per output (transposed: input) pixel."""
    seen = []

    def hook(layer, args, out):
        pixels = (args[0] if isinstance(layer, nn.ConvTranspose2d) else out)[:, 0].numel()
        seen.append((layer, pixels * layer.weight.numel()))

    handles = [
        layer.register_forward_hook(hook)
        for layer in model.modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    call()
    for handle in handles:
        handle.remove()
    return seen


def asked(floor: models.Floor) -> Counter:
    """{(weight shape, gradients of input, weights and bias asked for): backward passes}."""
    return Counter((tuple(args[2].shape), tuple(args[-1])) for func, args, _ in floor.calls if func is BACKWARD)


@pytest.mark.parametrize("name", models.MODELS)
def test_the_floor_of_a_step_is_its_convolutions(store, name):
    model = models.build(name, store.facts, TINY)
    update = models.step(model, models.windows(store).batch(0))
    floor, layers = models.floor(update), forward_calls(model, update)
    calls = Counter(func for func, *_ in floor.calls)
    assert calls[FORWARD] == len(layers) > 0
    assert calls[models.BORDERS[0]] == sum(layer.padding_mode == "reflect" for layer, _ in layers)
    real, played = flops(update), flops(floor.replay)
    assert played == real  # exactly, forward and backward
    assert real[torch.ops.aten.convolution] == 2 * sum(macs for _, macs in layers)


@pytest.mark.parametrize("name", models.MODELS)
def test_the_floor_of_a_roll_out_is_its_convolutions(store, name):
    model, clip = models.build(name, store.facts, TINY), models.windows(store).batch(0)
    clip = {key: value for key, value in clip.items() if torch.is_tensor(value)}

    def paint():
        list(
            synthesize.stream(
                model, lambda start, stop: synthesize.part(clip, start, stop), 4, clip["real"][0, : model.n_past]
            )
        )

    floor, layers = models.floor(paint), forward_calls(model, paint)
    assert flops(floor.replay) == flops(paint)
    assert flops(paint).total() == 2 * sum(macs for _, macs in layers) > 0
    assert Counter(func for func, *_ in floor.calls)[FORWARD] == len(layers)
    assert not asked(floor)


def test_a_discriminator_goes_backward_twice_on_fakes_and_once_on_real_frames(store):
    model = models.build("pix2pixhd", store.facts, TINY)
    floor = models.floor(models.step(model, models.windows(store).batch(0)))
    want = Counter()
    for scale in model.D_image.scales:
        layers = [layer for layer in scale.modules() if isinstance(layer, nn.Conv2d)]
        for layer in layers:
            shape = tuple(layer.weight.shape)
            want[shape, (True, False, False)] += 1  # G's loss, on fakes: to the input alone
            want[shape, (layer is not layers[0], True, True)] += 2  # D's own, on fakes and real frames
    judges = {shape for shape, _ in want}
    assert not judges & {tuple(weight.shape) for weight in model.G.parameters()}
    assert Counter({key: n for key, n in asked(floor).items() if key[0] in judges}) == want


def test_frozen_layers_have_no_weight_gradient_in_the_floor(store):
    model = models.build("covst", store.facts, TINY)
    floor = models.floor(models.step(model, models.windows(store).batch(0)))
    trained = {tuple(weight.shape) for weight in model.mask.parameters()}
    for (shape, (_, weights, bias)), _ in asked(floor).items():
        assert weights == bias == (shape in trained), shape


def test_operands_have_the_layout_of_the_step(store):
    floor = models.Floor()
    for x in (
        torch.zeros(2, 3, 4, 5),
        torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.zeros(2, 6, 4, 5, dtype=torch.bfloat16)[:, 1:4],
        torch.zeros(()).expand(2, 3),
    ):
        stand_in = floor.operand(x)
        assert (stand_in.shape, stand_in.stride(), stand_in.dtype) == (x.shape, x.stride(), x.dtype)
        assert floor.operand(x) is stand_in


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_weights_are_convolved_in_the_layout_asked_for(store, layout):
    model = models.build("pix2pixhd", store.facts, TINY)
    floor = models.floor(models.step(model, models.windows(store).batch(0), memory_format=layout))
    weights = [args[1] for func, args, _ in floor.calls if func is FORWARD]
    assert weights
    assert all(weight.is_contiguous(memory_format=layout) for weight in weights)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU trains in channels_last")
def test_a_cpu_trains_in_the_usual_layout(store):
    model = models.build("pix2pixhd", store.facts, TINY)
    floor = models.floor(models.step(model, models.windows(store).batch(0)))
    assert all(args[1].is_contiguous() for func, args, _ in floor.calls if func is FORWARD)


def test_bf16_reaches_the_convolutions(store):
    model = models.build("vid2vid", store.facts, TINY)
    assert (
        models.floor(models.step(model, models.windows(store).batch(0), precision="bf16-mixed")).dtypes() == "bfloat16"
    )


def test_judging_the_fakes_twice_changes_no_gradient(store):
    batch, grads = models.windows(store).batch(0), []
    for change in (lambda model: model, models.call_twice):
        model = change(models.build("vid2vid", store.facts, TINY))
        losses, grads = {}, [*grads, {}]
        layers = forward_calls(model, lambda model=model, losses=losses: losses.update(model.losses(batch)))
        passes = Counter(layer for layer, _ in layers)
        for D, once, twice in ((model.D_image, 3, 5), (model.D_video, 2, 3)):  # D_image sees raw frames too
            assert {passes[layer] for layer in D.modules() if isinstance(layer, nn.Conv2d)} == {
                once if len(grads) == 1 else twice
            }
        for name, part in model.parts().items():
            grads[-1][name] = torch.autograd.grad(losses[name], part, retain_graph=True)
    for name, once in grads[0].items():
        for a, b in zip(once, grads[1][name]):
            torch.testing.assert_close(a, b)


def test_tables_print(capsys, monkeypatch):
    monkeypatch.setattr(
        bench.bench_fid, "main", lambda argv: print("FID in its turn")
    )  # minutes; its parts are in test_inception
    monkeypatch.setattr(bench.bench_threads, "main", lambda rounds, seconds: print("threads in their turn"))
    monkeypatch.setattr(bench.bench_score, "main", lambda argv: print("score in its turn"))
    monkeypatch.setattr(bench.bench_devices, "main", lambda: print("devices in their turn"))
    monkeypatch.setattr(bench.bench_scaling, "main", lambda argv: print("stores in their turn"))
    bench.main(["--seconds", "0.001"])
    out = capsys.readouterr().out
    assert all(
        out.count(f"{part} turn") == 1
        for part in ("FID in its", "threads in their", "score in its", "devices in their", "stores in their")
    )
    assert "clip store 64x32" in out
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line.startswith("|")]
    rows, options = (list(group) for _, group in groupby(lines, len))
    head, _, *rows = rows
    assert head == [
        "",
        "model",
        "size",
        "width",
        "precision",
        "convolved in",
        "frames/s",
        "floor frames/s",
        "time / floor",
        "reading",
    ]
    assert [(row[0], row[1], row[4]) for row in rows] == [
        *(("step", name, "32-true") for name in models.MODELS),
        ("step", "vid2vid", "bf16-mixed"),
        *(("frame", name, "32-true") for name in models.MODELS),
    ]
    assert all(" to " in row[8] and ("%" in row[9]) == (row[0] == "step") for row in rows)
    assert [row[0] for row in options[2:]] == [
        "as shipped",
        "bf16-mixed",
        "fakes judged twice",
        "contiguous",
        "channels_last",
    ]


@pytest.mark.slow  # two processes that train at mini's size
def test_threads_are_measured_alone_and_beside_a_neighbour(capsys, monkeypatch):
    title = "one training, one thread"
    monkeypatch.setattr(bench.bench_threads, "SETTINGS", {title: bench.bench_threads.SETTINGS[title]})
    bench.bench_threads.main(1, 0.001)
    row = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].strip("|").split("|")]
    assert row[0] == title
    assert float(row[1]) > 0
    assert row[2] == "1.00"
    assert float(row[3].split()[0]) > 0


def test_one_part_alone(capsys):
    bench.main(["--only", "synthesize", "--seconds", "0.001"])
    assert capsys.readouterr().out.count("| frame ") == 3


@pytest.mark.slow
def test_devices_are_measured(monkeypatch, capsys):
    """One process and two, from the store to the averaged gradients."""
    titles = ["one process, 1 thread reads ahead", "two processes, a window each (devices: 2)"]
    monkeypatch.setattr(devices, "SETTINGS", {title: devices.SETTINGS[title] for title in titles})
    devices.main(rounds=1, seconds=0.1)
    rows = [line.split("|")[1:4] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == titles and all(float(row[1].split()[0]) > 0 for row in rows)
