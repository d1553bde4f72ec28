"""RAFT as `--flow raft` uses it, with random weights: which frame is the first, padding, and what it says without."""

import numpy as np
import pytest
import torch
from conftest import sliding_clip
from torch.nn import functional as F
from torchvision.models.optical_flow import raft_large

from v2vbench.clips import raft
from v2vbench.download import weights
from v2vbench.params import Fault
from v2vbench.scoring.run import score


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return raft_large(weights=None).eval()


@pytest.fixture
def made_up(network, monkeypatch):
    monkeypatch.setattr(weights, "load", lambda name: network.state_dict())
    monkeypatch.setattr(raft, "UPDATES", 2)


@pytest.mark.parametrize("size", [(128, 136), (96, 131)])
def test_flow_is_torchvisions_from_the_current_frame_back(network, made_up, size):
    previous, current = sliding_clip(0, 2, size)["real"]
    first, second = (torch.from_numpy(f).permute(2, 0, 1)[None].float() / 127.5 - 1 for f in (current, previous))
    pad = (0, -size[1] % 8, 0, max(128, size[0]) - size[0])
    with torch.inference_mode():
        theirs = network(*(F.pad(x, pad, mode="replicate") for x in (first, second)), num_flow_updates=2)[-1]
    own = raft.Raft().flow(previous, current)
    assert own.shape == (*size, 2) and own.dtype == np.float32
    np.testing.assert_allclose(own, theirs[0, :, : size[0], : size[1]].permute(1, 2, 0), atol=1e-3)


def test_occlusion_is_where_forth_and_back_disagree(made_up):
    previous, current = sliding_clip(0, 2, (32, 48))["real"]
    flow, occluded = raft.Raft()(previous, current)
    assert flow.shape == (32, 48, 2) and occluded.dtype == np.uint8 and set(np.unique(occluded)) <= {0, 1}


def test_its_name_is_in_the_protocol_id(made_up):
    real = {"a": sliding_clip(0, 4, (32, 48))["real"], "b": sliding_clip(1, 4, (32, 48))["real"]}
    result = score(real, real, metrics=["warp_error"], flow="raft", cache=None)
    assert result.runs["fake"].metrics["warp_error"].protocol.endswith(":flow-raft-large-c-t-skht-v2")


def test_without_weights_it_says_how_to_get_them():
    with pytest.raises(Fault, match="weights absent: raft_large .* `v2vbench fetch weights` brings it"):
        raft.Raft()
