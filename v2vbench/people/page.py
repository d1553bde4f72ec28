"""The page of a study: one HTML file that holds its scripts, styles and data, and asks nothing of anyone."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2

from v2vbench.params import Fault

HERE = Path(__file__).parent / "page"
CSP = (
    "default-src 'none'; img-src data:; media-src 'self' file: blob:; style-src {style}; script-src {script}; "
    "connect-src {post}; base-uri 'none'; form-action 'none'"
)
FOR_THE_SCRIPT = ("id", "simulated", "post", "width", "height", "fps", "break_after", "raters", "ms")
URL_ENDS_AT = set(" \t\r\n\"'<>;,\\`")  # what would end the address inside the policy, or is no part of one


def render(about: dict[str, Any]) -> bytes:
    """index.html of a study, UTF-8.

    about    id            of the study
             question      look, motion or fit
             asked, hint   the question in words; a sentence more, or ""
             simulated     a rehearsal, which every screen says
             consent       paragraphs of plain text
             post          URL to which the answers are sent at the end, or None
             width, height of a video, pixels
             fps           frames a second
             break_after   after how many trials, each time, a break is offered; 0: never
             raters        by number: names of the left, the right and the source's video (or null), a trial each
             ms            by name of a video: length of one loop, milliseconds
    raises   Fault if `post` is no address to which a page can send
    """
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    data = json.dumps({name: about[name] for name in FOR_THE_SCRIPT}, ensure_ascii=False, separators=(",", ":"))
    origin = _origin(about["post"])
    text = jinja.get_template("index.html.j2").render(
        about,
        data=data.replace("<", r"\u003c"),  # no text can end the element, or open a comment in it
        style=style,
        script=script,
        receiver=origin,
        csp=CSP.format(style=_digest(style), script=_digest(script), post=origin or "'none'"),
    )
    return text.encode()


def _origin(post: str | None) -> str | None:
    """Where answers may be sent, as a content security policy names it."""
    if post is None:
        return None
    try:
        url = urlsplit(post)
        fits = url.scheme in ("http", "https") and url.hostname and url.port != 0 and "@" not in url.netloc
    except ValueError:  # of a port or an address in brackets
        fits, url = False, None
    if not fits or not url or not post.isascii() or URL_ENDS_AT & set(post):
        raise Fault(f"post: {post!r} is no address to send answers to; write it as https://host/path")
    return f"{url.scheme}://{url.netloc}"


def _digest(text: str) -> str:
    """As a content security policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
