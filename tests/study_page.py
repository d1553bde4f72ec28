"""A made-up study, its page in a browser, and the answers that the page gives: for the tests of the study page."""

import json
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from v2vbench.display.mp4 import write_mp4
from v2vbench.people import page

ID, FPS, SIZE = "0123456789abcdef", 17.5, (64, 128)
KEYS = "schema study rater session trial left right answer ms loops drift screen reloads simulated check".split()


def video_name(number: int) -> str:
    return f"{number:012x}"


def write_video(path: Path, seed: int, n_frames: int, size: tuple[int, int] = SIZE) -> None:
    """Stripes that slide over a grey ground; each seed has its own."""
    height, width = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rng = np.random.default_rng(seed)
    period, step, slope = rng.integers(height // 4, height), rng.integers(2, 5), rng.uniform(-1, 1)
    shades = [110 + 70 * np.sin(2 * np.pi * (x + slope * y + step * t) / period) for t in range(n_frames)]
    tint = rng.uniform(0.6, 1.2, 3)
    write_mp4(path, ((s[..., None] * tint).clip(0, 255).astype(np.uint8) for s in shades), FPS, crf="20")


def make_study(
    folder: Path, *, n_trials: int = 3, n_frames: int = 6, size: tuple[int, int] = SIZE, **about: Any
) -> dict[str, Any]:
    """A folder as `v2vbench study make` writes it, with two raters; returns what the page was given."""
    (folder / "videos").mkdir(parents=True)
    question, per_trial = about.get("question", "look"), 3 if about.get("question") == "fit" else 2
    names = [video_name(number) for number in range(1, 1 + n_trials * per_trial)]
    trials = [names[i * per_trial : (i + 1) * per_trial] + [None] * (3 - per_trial) for i in range(n_trials)]
    for seed, name in enumerate(names):
        write_video(folder / f"videos/{name}.mp4", seed, n_frames, size)
    data = {
        "id": ID,
        "question": question,
        "asked": "Which of the two looks more like a video filmed by a real camera?",
        "hint": "",
        "simulated": True,
        "consent": ["We ask which of two videos looks better.", "Write to lab@example.org."],
        "post": None,
        "width": size[1],
        "height": size[0],
        "fps": FPS,
        "break_after": 2,
        "raters": {"01": trials, "07": trials[::-1]},
        "ms": dict.fromkeys(names, round(1000 * n_frames / FPS)),
    } | about
    (folder / "index.html").write_bytes(page.render(data))
    return data


@pytest.fixture(scope="module")  # its event loop must not run beside tests of other modules
def browser() -> Iterator[Any]:
    """Chromium of this machine."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Rater:
    """Someone in front of the page, in a browser profile of their own."""

    def __init__(self, browser: Any, folder: Path, size: tuple[int, int] = (1400, 900), **settings: Any):
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **settings)
        self.context.set_default_timeout(60_000)
        self.folder, self.requests, self.errors = folder, [], []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.context.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.context.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.accept()))
        self.page = self.context.new_page()

    def open(self, address: str = "#07", page: Any = None) -> None:
        (page or self.page).goto(f"{(self.folder / 'index.html').as_uri()}{address}")

    def screen(self) -> str:
        return self.page.get_attribute("main", "data-screen")

    def on(self, screen: str, page: Any = None) -> None:
        """Wait until a screen is there."""
        (page or self.page).wait_for_selector(f"main[data-screen={screen}]")

    def consent(self, number: str | None = None) -> None:
        self.page.check("#agree")
        if number:
            self.page.fill("#number", number)
        self.page.click("#begin")

    def begin(self) -> None:
        """From the address to the first pair."""
        self.open()
        self.consent()
        self.page.click("#start")
        self.at(0)

    def at(self, trial: int) -> None:
        """Wait until a pair is there."""
        self.page.wait_for_selector(f"main[data-screen=trial][data-trial='{trial}']")

    def unlocked(self) -> None:
        self.page.wait_for_selector("#left:enabled")

    def answer(self, choice: str) -> None:
        """Answer one pair, and go past a break."""
        trial = self.page.get_attribute("main", "data-trial")
        self.page.click(f"#{choice}")
        self.page.wait_for_function(
            "trial => document.querySelector('main').dataset.screen !== 'trial' "
            "|| document.querySelector('main').dataset.trial !== trial",
            arg=trial,
        )
        if self.screen() == "break":
            self.page.click("#continue")

    def finish(self, choices: list[str]) -> None:
        for choice in choices:
            self.answer(choice)
        self.on("end")

    def text(self) -> str:
        """All answers, as the last screen has them."""
        return self.page.input_value("#text")


def checked(text: str) -> list[dict[str, Any]]:
    """Answers, after a look at everything that the contract fixes; the chain of checks is computed by zlib."""
    assert text.endswith("\n")
    answers, previous = [], None
    for n, line in enumerate(text.splitlines()):
        answer = json.loads(line)
        assert list(answer) == KEYS
        bare = line[: -len(f',"check":"{answer["check"]}"}}')] + "}"
        assert f'{bare[:-1]},"check":"{answer["check"]}"}}' == line
        previous = answer["study"] if previous is None else previous
        previous = f"{zlib.crc32((previous + bare).encode()):08x}"
        assert (answer["schema"], answer["trial"], answer["check"]) == ("v2vbench/answers/1", n, previous)
        assert np.isfinite(answer["drift"]) and 0 <= answer["drift"] == round(answer["drift"], 2)
        assert answer["answer"] in ("left", "right", "neither", "failed")
        assert {type(answer[key]) for key in ("ms", "loops", "reloads")} == {int}
        answers.append(answer)
    return answers


class Quiet(SimpleHTTPRequestHandler):
    """Static files, as from any web host."""

    def log_message(self, *args: Any) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        try:
            super().copyfile(source, outputfile)
        except ConnectionError:  # the browser has enough of a video
            self.close_connection = True


def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve in a thread, and yield the address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def static_server(folder: Path, handler: Callable[..., BaseHTTPRequestHandler] | None = None) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", 0), handler or partial(Quiet, directory=str(folder)))
