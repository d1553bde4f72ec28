"""The plan of a study as a table in a terminal and as a picture; what is simulated says so in both."""

from pathlib import Path
from typing import TYPE_CHECKING

from v2vbench.params import Fault
from v2vbench.people.power import MOST, Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def words(plan: Plan) -> str:
    """The table in words for a terminal; everything simulated says so."""
    of, each = plan.setting, plan.setting.votes_each()
    independent = f"more than {MOST}" if plan.independent is None else plan.independent
    lines = [
        f"Share {of.share:g} against a half, two-sided, {of.confidence:.0%} confidence; wished: power {of.power:g}.",
        f"Independent votes, without ties or lapses: {independent} for each pair of methods (sign test).",
        f"Simulated raters: {each} votes of each on {of.clips} clips and {of.pairs} pair{'s' * (of.pairs > 1)}; raters "
        f"differ by {of.rater_effect:g}, clips by {of.clip_effect:g} (log odds); lapses {of.lapse:.0%}, tie "
        f"{of.tie:g}; {of.studies} studies a line.",
        "",
        "raters  votes a pair  power (simulated)  mean share",
    ]
    lines += [
        f"{n:6}  {result['n_votes']:12}  {_power(result):>17}  {result['share']:10.2f}" for n, result in plan.at.items()
    ]
    return "\n".join([*lines, "", _conclusion(plan)])


def _power(result: dict) -> str:
    return f"{result['power']:.2f} ± {result['power_error']:.2f}"


def _conclusion(plan: Plan) -> str:
    of = plan.setting
    if plan.fewest is not None:
        return (
            f"The fewest raters that reach {of.power:g}: {plan.fewest} (simulated power {_power(plan.reached)}). "
            "Ask a few more: the rules leave some out."
        )
    begin = f"No number of raters up to {plan.tried} reaches {of.power:g} (simulated power {_power(plan.reached)})"
    if plan.more_clips_help:
        return f"{begin}, since clips differ: more clips help, more raters do not."
    return f"{begin}: it takes more raters, more votes of each, more clips, or methods that are further apart."


def drawn(plan: Plan) -> "Figure":
    """The table as a figure."""
    from matplotlib.figure import Figure

    from v2vbench.display.palette import COLOURS, DASHES

    of, at = plan.setting, dict(sorted((plan.at | {plan.fewest or plan.tried: plan.reached}).items()))
    axes = (figure := Figure((7, 4.2), layout="constrained")).subplots()
    for i, (label, key, error) in enumerate(
        (("simulated raters", "power", "power_error"), ("as many independent votes (sign test)", "alone", None))
    ):
        axes.errorbar(
            list(at),
            [result[key] for result in at.values()],
            yerr=[1.96 * result[error] for result in at.values()] if error else None,
            label=label,
            color=COLOURS[i][0],
            linestyle=(0, tuple(map(float, DASHES[i].split()))) if DASHES[i] else "-",
            marker="os"[i],
            capsize=3,
        )
    axes.axhline(of.power, color="0.5", linewidth=1)
    axes.set(
        xlabel="raters",
        ylabel="power",
        ylim=(0, 1.03),
        title=f"Simulated raters: share {of.share:g}, {of.clips} clips, {plan.setting.votes_each()} votes of each",
    )
    axes.legend(loc="lower right")
    return figure


def plot(plan: Plan, path: Path) -> None:
    """Write `drawn` in the format that the name of the file says; raises Fault for a format there is not."""
    try:
        drawn(plan).savefig(path, dpi=150)
    except ValueError as error:
        raise Fault(f"--plot {path}: {error}") from None
