"""What raters agree to: the text of the lab, or one that says that there is none."""

import re
from pathlib import Path

from v2vbench.params import Fault

CONSENT = (
    "You are asked to compare short videos in pairs.",
    "The laboratory that sent you this page has written no text of its own for this place. Before you go on you may "
    "ask it who holds the study, what for, how long it takes, and who sees the answers.",
    "Taking part is voluntary. You can stop at any time, and need not say why.",
)


def paragraphs(path: Path | None) -> list[str]:
    """Of a text file, which empty lines divide; None: CONSENT. Raises Fault for a file without text."""
    if path is None:
        return list(CONSENT)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"--consent {path}: cannot be read ({error}); give a text file in UTF-8") from None
    if text.lstrip().startswith(("%PDF", "{\\rtf", "<")):
        raise Fault(f"--consent {path}: is no plain text but PDF, RTF or HTML; save it as text")
    if not (parts := [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]):
        raise Fault(f"--consent {path}: is empty; write what raters agree to, with empty lines between paragraphs")
    return parts
