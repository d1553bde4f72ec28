"""What 08_styles shows: many videos of one clip."""

from IPython.display import Image

from v2vbench.clips.store import Store
from v2vbench.display.palette import colour
from v2vbench.display.pictures import strip, times


def variants(store: Store, styled: Store, names: list[str], n: int, first: int = 0, last: int | None = None) -> Image:
    """The variants `names` of one clip at `n` times from frame `first` to `last`; an edited one under its source."""
    key, facts = styled.clips[names[0]]["of"], store.facts
    arrays = store.read(key, arrays=["real", "label"])
    at = times(first, len(arrays["real"]) - 1 if last is None else last, n)
    rows, edit = {"source": colour(arrays, facts)[at], "real": arrays["real"][at]}, ""
    for name in names:
        variant, made = styled.clips[name], styled.read(name)
        title = f"seed {variant['seed']}"
        if variant["swap"]:
            title = f"edited, {title}"
            rows["edited source"] = colour(made, facts)[at]
            swaps = ", ".join(f"{old} as {new}" for old, new in variant["swap"].items())
            edit = f"; {swaps}, {variant['changed']:.1%} of the pixels"
        rows[title] = made["fake"][at]
    return strip(rows, [f"frame {t}" for t in at], f"{styled.facts.title}, clip {key}{edit}")
