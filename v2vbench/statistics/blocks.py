"""Groups of independent clips of two unpaired sets, each of which the jackknife leaves out of both sets at once."""


def blocks(n_fake: int, n_real: int, at_most: int) -> tuple[list[int], list[int]]:
    """The group of each clip of two sets: clip i is in group i % K, K = min(n_fake, n_real, at_most).

    A distance between two sets of different clips has no value without a clip of one set that is also one without a
    clip of the other. Its jackknife leaves out a group of each set together. Groups of a set differ by one clip at
    most, so that each leaves out nearly the same share, and the interval counts K groups of equal weight.

    n_fake, n_real    clips, independent of each other; those of one cluster belong into one group instead
    at_most           groups
    returns           (n_fake,) and (n_real,), numbers from 0 to K - 1, each of which is in both
    raises            ValueError where a number is below 1
    source            Quenouille 1956 (groups of equal size); Kott 2001 (delete-a-group jackknife)
    """
    n_groups = min(n_fake, n_real, at_most)
    if n_groups < 1:
        raise ValueError(f"{n_fake} generated and {n_real} real clips in at most {at_most} groups; it takes 1 of each")
    return [i % n_groups for i in range(n_fake)], [i % n_groups for i in range(n_real)]
