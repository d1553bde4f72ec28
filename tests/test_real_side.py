"""What is known of the real side of a clip is computed once, and is what it would be anew."""

import torch

from v2vbench.metrics._real import Reader, of_real, remember


def test_of_real_computes_once_what_is_remembered():
    asked = []

    def doubled(frames, by):
        asked.append(by)
        return frames * by

    plain, kept = torch.ones(3), remember(torch.ones(3))
    for tensor, n_asked in ((plain, 2), (kept, 1)):
        asked.clear()
        assert all((of_real(doubled, tensor, 2) == 2).all() for _ in range(2)) and len(asked) == n_asked
    assert (of_real(doubled, kept, 3) == 3).all() and asked == [2, 3]  # another setting
    kept.add_(1)
    assert (of_real(doubled, kept, 3) == 6).all()  # changed in place
    assert (of_real(doubled, kept.clone(), 2) == 4).all() and len(asked) == 4  # another tensor


def test_what_is_yielded_can_be_read_again():
    def frames(of):
        yield from of

    kept = remember(torch.arange(3))
    assert [int(sum(of_real(frames, kept))) for _ in range(2)] == [3, 3] and not isinstance(
        of_real(frames, torch.arange(3)), tuple
    )


class Judge:
    """Reads the mean of each frame, and notes how many it was shown."""

    prior = "a prior"

    def __init__(self):
        self.seen = []

    def predict(self, frames):
        self.seen.append(len(frames))
        return frames.mean((1, 2, 3))


def test_a_reader_looks_at_frames_that_it_does_not_know():
    real, other, judge = torch.rand(4, 3, 5, 6), torch.rand(2, 3, 5, 6), Judge()
    reader = Reader(judge, real)
    assert reader.prior == "a prior" and judge.seen == []
    for frames, seen in (
        (real, [4]),
        (real[[3, 1, 1]], []),
        (torch.cat([other, real[:1], other[:1]]), [2]),
        (other, [2]),
    ):
        judge.seen.clear()
        assert torch.equal(reader.predict(frames), Judge().predict(frames)) and judge.seen == seen
