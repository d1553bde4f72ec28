"""Raters who are left out, by rules that stand in the study's key since before anyone was asked."""

from collections.abc import Mapping
from statistics import median

from scipy import stats

from v2vbench.people.answers import Answer
from v2vbench.people.records import Rules, Study

SIDED = 10  # answers that chose a side, at least, before their shares tell anything
UNFINISHED, NO_CATCH = "too few answers", "no catch was shown"
FAILED, HURRIED, ONE_SIDE = "a catch failed", "hurried", "one side only"
REASONS = UNFINISHED, NO_CATCH, FAILED, HURRIED, ONE_SIDE  # in this order: a rater is counted under the first


def reason(study: Study, rater: str, answers: Mapping[int, Answer]) -> str | None:
    """Why a rater is left out: one of REASONS; None where the answers count.

    answers    by trial. A pair that did not load ("failed") is no answer, and no fault of the rater's: it fails no
               catch, but whoever saw no catch at all is not known to have looked
    """
    trials, rules = study.raters[rater], study.rules
    given = {number: answer for number, answer in answers.items() if answer.answer != "failed"}
    if not given or len(given) < rules.answered * len(trials):
        return UNFINISHED
    catches = [answer for number, answer in given.items() if trials[number].kind == "catch"]
    if not catches:
        return NO_CATCH
    if sum(not _chose_real(study, answer) for answer in catches) > rules.failed_catches:
        return FAILED
    if median(answer.ms - _loop_ms(study, answer) for answer in given.values()) < rules.hurried_ms:
        return HURRIED
    n_left, n_right = (sum(answer.answer == side for answer in given.values()) for side in ("left", "right"))
    if n_left + n_right >= SIDED and max(n_left, n_right) > rules.one_side * (n_left + n_right):
        return ONE_SIDE
    return None


def chance_of_failing(n_catches: int, rules: Rules, right: float = 0.5) -> float:
    """The chance that the catches leave out a rater who chooses the real video with chance `right` each time.

    A coin has 1/2: with 3 catches and none to fail it is caught 7 times of 8.
    """
    return float(stats.binom.sf(rules.failed_catches, n_catches, 1 - right))


def _chose_real(study: Study, answer: Answer) -> bool:
    chosen = {"left": answer.left, "right": answer.right}.get(answer.answer)
    return chosen is not None and study.videos[chosen].shows == "real"


def _loop_ms(study: Study, answer: Answer) -> int:
    """Length of one loop of the pair."""
    return max(study.videos[answer.left].ms, study.videos[answer.right].ms)
