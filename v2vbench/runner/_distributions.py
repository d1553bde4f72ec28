"""Pinned requirements: the distributions of some modules, and what these need in turn."""

import importlib.metadata
from collections.abc import Iterable

from packaging.requirements import Requirement

from v2vbench.params import Fault

ALONE = "torch"  # builds of it need different packages, for CPUs and for each version of CUDA, and bring them


def requirements(modules: Iterable[str]) -> dict[str, str]:
    """{distribution: version} of what is installed here for the modules and for all that they need, sorted.

    modules    importable names, top levels
    raises     Fault if a module is of no distribution
    """
    providers = importlib.metadata.packages_distributions()
    if unknown := sorted(set(modules) - providers.keys()):
        raise Fault(f"{unknown[0]}: imported, and of no installed package; install it with pip")
    waiting, found = [name for module in modules for name in providers[module]], {}
    while waiting:
        name = waiting.pop().lower().replace("_", "-").replace(".", "-")
        if name in found:
            continue
        about = importlib.metadata.distribution(name)
        found[name] = about.version.partition("+")[0]  # any build of the version
        needed = map(Requirement, (about.requires or []) if name != ALONE else [])
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return dict(sorted(found.items()))
