"""The page of a study in a browser: raters finish it on any window, by keyboard, offline, and after what goes wrong."""

import base64
import functools
import hashlib
import http.client
import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import study_page
from study_page import FPS, ID, Rater, checked, make_study, serving, static_server, video_name, write_video

from v2vbench.params import Fault
from v2vbench.people import page, receiver

browser = study_page.browser
PHONE, DESK = (400, 800), (1400, 900)
SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
SESSION = "00112233445566aa"
BROAD, TALL = (64, 128), (96, 64)  # of a video
SHAPES = [(PHONE, BROAD), (DESK, BROAD)] + [
    pytest.param(size, shape, marks=pytest.mark.slow)
    for size, shape in itertools.product([PHONE, (360, 640), (640, 360), (768, 1024), DESK], [BROAD, TALL])
    if shape == TALL or size not in (PHONE, DESK)
]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Three pairs with a break after the second; nobody changes it."""
    folder = tmp_path_factory.mktemp("study")
    make_study(folder)
    return folder


@pytest.fixture
def rater(browser, study) -> Iterator[Rater]:
    rater = Rater(browser, study)
    yield rater
    rater.context.close()
    assert rater.errors == []
    assert {url.split(":")[0] for url in rater.requests} <= {"file"}, rater.requests


def another(browser, folder: Path, **settings) -> Rater:
    """A rater whose context ends with the browser."""
    return Rater(browser, folder, **settings)


def names(folder: Path, number: str = "07") -> list[list[str]]:
    data = re.search(r'id="data">(.*?)</script>', (folder / "index.html").read_text())
    assert data
    return json.loads(data[1])["raters"][number]


# ---- To the end


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_rater_completes_it_from_a_file_and_offline(browser, study, size):
    rater = another(browser, study, size=size)
    rater.context.set_offline(True)
    rater.begin()
    rater.finish(["left", "neither", "right"])
    with rater.page.expect_download() as download:
        rater.page.click("#save")
    text = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == f"answers-{ID}-07.jsonl"
    assert text == rater.text()
    answers = checked(text)
    assert [answer["answer"] for answer in answers] == ["left", "neither", "right"]
    assert [[answer["left"], answer["right"]] for answer in answers] == [trial[:2] for trial in names(study)]
    assert all(answer["study"] == ID and answer["rater"] == "07" and answer["simulated"] for answer in answers)
    assert all(answer["screen"] == list(size) and answer["reloads"] == 0 for answer in answers)
    assert all(answer["loops"] >= 1 and answer["ms"] >= 1000 * 5 / FPS for answer in answers)
    assert len({answer["session"] for answer in answers}) == 1 and re.fullmatch("[0-9a-f]{16}", answers[0]["session"])
    assert {url.split(":")[0] for url in rater.requests} <= {"file", "blob"}
    assert rater.errors == []
    rater.context.close()


def test_it_is_completed_by_keyboard_alone(rater):
    rater.open("")
    press = rater.page.keyboard.press
    press("Tab")
    press("0")
    press("7")
    press("Tab")
    press("Space")
    press("Tab")
    press("Enter")
    rater.on("instructions")
    press("Tab")
    press("Enter")
    for trial, key in enumerate(["f", "ArrowRight", " "]):
        rater.at(trial)
        rater.unlocked()
        press(key)
        if trial == 1:
            rater.on("break")
            press("Tab")
            press("Enter")
    rater.on("end")
    press("Tab")
    with rater.page.expect_download() as download:
        press("Enter")
    answers = checked(Path(download.value.path()).read_text())
    assert [answer["answer"] for answer in answers] == ["left", "right", "neither"]


@pytest.mark.slow
def test_the_other_keys_answer_too(rater):
    rater.begin()
    for key in ["ArrowLeft", "J", "ArrowDown"]:
        rater.unlocked()
        rater.page.keyboard.press(key)
        if rater.page.evaluate("() => state.lines.length") == 2:
            rater.page.click("#continue")
    rater.on("end")
    assert [answer["answer"] for answer in checked(rater.text())] == ["left", "right", "neither"]


def test_a_reload_in_the_middle_returns_to_the_same_pair(rater):
    rater.begin()
    rater.answer("left")
    rater.at(1)
    rater.page.reload()
    rater.at(1)
    rater.answer("right")
    rater.at(2)
    rater.page.reload()
    rater.at(2)
    rater.finish(["neither"])
    rater.page.reload()
    rater.on("end")
    answers = checked(rater.text())
    assert [(answer["answer"], answer["reloads"]) for answer in answers] == [("left", 0), ("right", 1), ("neither", 2)]
    assert len({answer["session"] for answer in answers}) == 1


@pytest.mark.slow
def test_a_later_visit_goes_on_where_the_rater_stopped(rater):
    rater.begin()
    rater.answer("left")
    rater.page.close()
    rater.page = rater.context.new_page()
    rater.open()
    rater.on("consent")
    assert "1 of your 3 answers" in rater.page.inner_text("#saved")
    assert rater.page.inner_text("#begin") == "Go on where you stopped"
    rater.consent()
    rater.at(1)
    rater.open("#01")  # another number: another session
    rater.on("consent")
    assert rater.page.inner_text("#saved") == "" and rater.page.input_value("#number") == "01"


@pytest.mark.slow
def test_damaged_answers_in_the_browser_are_said_and_not_used(rater):
    rater.begin()
    rater.answer("left")
    rater.page.evaluate(
        "key => { const state = JSON.parse(localStorage.getItem(key));"
        ' state.lines[0] = state.lines[0].replace(\'"answer":"left\', \'"answer":"right\');'
        " localStorage.setItem(key, JSON.stringify(state)); }",
        f"v2vbench/study/{ID}/07",
    )
    rater.page.reload()
    rater.on("consent")
    assert "is damaged" in rater.page.inner_text("#saved")
    rater.consent()
    rater.on("instructions")


# ---- One loop first, in step


def test_no_answer_before_a_whole_loop(browser, tmp_path):
    make_study(tmp_path / "study", n_frames=40)
    rater = another(browser, tmp_path / "study")
    rater.begin()
    rater.page.wait_for_function("() => pair.begun")
    for key in ["f", "ArrowRight", "ArrowDown", " ", "Enter"]:
        rater.page.keyboard.press(key)
    rater.page.keyboard.down("f")  # held until after it is unlocked
    rater.page.dispatch_event("#left", "click")  # as a script would: a disabled button takes no click
    rater.page.evaluate("() => answer('left')")
    assert rater.page.is_disabled("#left") and rater.page.is_disabled("#neither") and rater.page.is_disabled("#right")
    assert rater.page.inner_text("#status") == "Watch the pair to its end."
    rater.unlocked()
    rater.page.keyboard.down("f")  # again while down: a repeat
    assert rater.page.inner_text("#status") == "You can answer now."
    assert rater.page.evaluate("() => state.lines.length") == 0
    assert rater.page.evaluate("() => pair.loops") == 1
    rater.page.keyboard.up("f")
    rater.page.keyboard.press("f")
    rater.at(1)
    assert rater.page.is_disabled("#left")
    assert rater.errors == []
    rater.context.close()


def test_space_on_a_button_presses_that_button_alone(rater):
    rater.begin()
    rater.unlocked()
    rater.page.focus("#right")
    rater.page.keyboard.press("Space")
    rater.at(1)
    rater.unlocked()
    assert rater.page.evaluate("() => state.lines.map(line => JSON.parse(line).answer)") == ["right"]
    rater.page.focus("#replay")
    rater.page.keyboard.press("Space")
    assert rater.page.evaluate("() => state.lines.length") == 1


@pytest.mark.parametrize("frames", [2, 12, pytest.param(-12, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_video_that_ran_away_comes_back_in_step(browser, tmp_path, frames):
    make_study(tmp_path / "study", n_frames=60, n_trials=1)
    rater = another(browser, tmp_path / "study")
    rater.begin()
    rater.page.wait_for_function("() => pair.begun && pair.videos[1].currentTime > 14 / about.fps")
    rater.page.evaluate(
        "n => { pair.videos[1].currentTime += n / about.fps; window.jumped = [pair.loops, pair.run]; }", frames
    )
    rater.page.wait_for_function(
        "n => pair.drift > n - 1.5 && pair.loops === jumped[0] && pair.videos.every(video => clock(video) < 50) "
        "&& Math.abs(clock(pair.videos[0]) - clock(pair.videos[1])) < 1",
        arg=abs(frames),
    )
    if abs(frames) > 3:  # else the one ahead waits for the other
        assert rater.page.evaluate("() => pair.run > jumped[1]")
    rater.finish(["left"])
    assert abs(frames) - 1.5 < checked(rater.text())[0]["drift"] < 60
    assert rater.errors == []
    rater.context.close()


@pytest.mark.slow
def test_loops_are_counted_and_replay_starts_anew(rater):
    rater.begin()
    rater.page.wait_for_function("() => pair.loops === 2")
    run = rater.page.evaluate("() => pair.run")
    rater.page.keyboard.press("r")
    rater.page.wait_for_function("run => pair.run > run", arg=run)
    rater.page.wait_for_function("() => pair.loops === 3")
    rater.answer("left")
    line = json.loads(rater.page.evaluate("() => state.lines[0]"))
    assert line["loops"] >= 3 and line["ms"] > 3 * 1000 * 5 / FPS


@pytest.mark.slow
def test_the_next_pair_is_loaded_while_the_current_one_plays(rater):
    rater.begin()
    rater.page.wait_for_function("() => coming && coming.videos.every(video => video.readyState >= 3)")
    assert rater.page.get_attribute("main", "data-trial") == "0"
    waiting = rater.page.evaluate("() => coming.videos.map(video => video.src.slice(-16, -4))")
    assert waiting == names(rater.folder)[1][:2]


def test_videos_stop_while_the_tab_is_hidden_and_the_time_does_not_count(rater):
    hide = (
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    rater.begin()
    rater.unlocked()
    rater.page.evaluate(hide, True)
    assert rater.page.evaluate("() => pair.videos.every(video => video.paused)")
    rater.page.evaluate("() => { began -= 1e6; left_at -= 1e6; }")  # as if a thousand seconds had gone by
    rater.page.evaluate(hide, False)
    loops = rater.page.evaluate("() => pair.loops")
    rater.page.wait_for_function("loops => pair.loops > loops", arg=loops)
    rater.answer("left")
    assert 0 <= json.loads(rater.page.evaluate("() => state.lines[0]"))["ms"] < 1e6


# ---- What goes wrong


def test_a_missing_video_is_skipped_or_loaded_later(browser, tmp_path):
    folder = tmp_path / "study"
    make_study(folder)
    first, second = (trial[1] for trial in names(folder)[:2])
    for name in (first, second):
        (folder / f"videos/{name}.mp4").rename(tmp_path / f"{name}.mp4")
    rater = another(browser, folder)
    rater.begin()
    rater.page.wait_for_selector("#skip")
    assert rater.page.inner_text("#why") == "This pair could not be loaded."
    rater.page.keyboard.press("f")
    assert rater.page.get_attribute("main", "data-trial") == "0"
    rater.page.click("#retry")
    rater.page.wait_for_selector("#skip")
    rater.page.click("#skip")
    rater.at(1)
    rater.page.wait_for_selector("#retry")
    shutil.move(tmp_path / f"{second}.mp4", folder / "videos")
    rater.page.click("#retry")
    rater.unlocked()
    rater.finish(["left", "right"])
    answers = checked(rater.text())
    assert [answer["answer"] for answer in answers] == ["failed", "left", "right"]
    assert (answers[0]["ms"], answers[0]["loops"], answers[0]["drift"]) == (0, 0, 0)
    assert all("ERR_FILE_NOT_FOUND" in line for line in rater.errors)
    rater.context.close()


@pytest.mark.slow
def test_a_video_that_never_comes_is_given_up(browser, study):
    """20 seconds, which are 300 ms here, without a byte."""
    rater = another(browser, study)
    rater.context.add_init_script(
        "const wait = setTimeout; window.setTimeout = (f, ms) => wait(f, ms === 20000 ? 300 : ms);"
    )
    slow = names(study)[0][0]
    held = []
    rater.page.route(f"**/{slow}.mp4", lambda route: held.append(route))
    for address in serving(static_server(study)):
        rater.page.goto(f"{address}/index.html#07")
        rater.consent()
        rater.page.click("#start")
        rater.page.wait_for_selector("#skip")
        assert held
        rater.page.unroute_all(behavior="ignoreErrors")
        rater.page.click("#retry")
        rater.unlocked()
        assert all(url.startswith((f"{address}/index.html", f"{address}/videos/")) for url in rater.requests)
        rater.context.close()


@pytest.mark.slow
def test_a_browser_that_wants_a_tap_gets_one(browser, study):
    rater = another(browser, study)
    rater.context.add_init_script(
        "const play = HTMLMediaElement.prototype.play; HTMLMediaElement.prototype.play = function () {"
        " return navigator.userActivation.isActive && window.tapped ? play.call(this)"
        " : Promise.reject(new DOMException('no', 'NotAllowedError')); };"
        "addEventListener('click', event => { if (event.target.id === 'retry') window.tapped = true; }, true);"
    )
    rater.begin()
    rater.page.wait_for_selector("#retry")
    assert "waits for a tap" in rater.page.inner_text("#why")
    rater.page.click("#retry")
    rater.unlocked()
    rater.context.close()


def test_without_storage_it_goes_on_and_says_so(browser, study):
    rater = another(browser, study)
    rater.context.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, name, {get() { throw new DOMException('no', 'SecurityError'); }});"
    )
    rater.begin()
    assert "keeps nothing" in rater.page.inner_text("#forgetful")
    rater.finish(["left", "left", "right"])
    assert [answer["answer"] for answer in checked(rater.text())] == ["left", "left", "right"]
    assert rater.errors == []
    rater.context.close()


def test_of_two_tabs_the_older_one_stops(rater):
    rater.begin()
    rater.answer("left")
    newer = rater.context.new_page()
    rater.open(page=newer)
    newer.check("#agree")
    newer.click("#begin")
    rater.on("elsewhere")
    newer.wait_for_selector("main[data-trial='1']")
    newer.click("#right")
    newer.wait_for_selector("main[data-screen=break]")
    assert newer.evaluate("() => state.lines.length") == 2


@pytest.mark.slow
def test_a_tab_that_missed_the_news_does_not_write(rater):
    """The storage event may come late: what is there is read before every write."""
    rater.begin()
    rater.unlocked()
    key = f"v2vbench/study/{ID}/07"
    rater.page.evaluate(
        "key => { const state = JSON.parse(localStorage.getItem(key)); state.tab = 'another';"
        " localStorage.setItem(key, JSON.stringify(state)); }",
        key,
    )
    rater.page.click("#left")
    rater.on("elsewhere")
    assert json.loads(rater.page.evaluate("key => localStorage.getItem(key)", key))["lines"] == []


# ---- The first screen, and the last


@pytest.mark.parametrize("number", ["99", "<script>alert(1)</script>", "constructor", "__proto__", "%", "-7", "07.5"])
def test_an_unknown_number_is_said_as_text(rater, number):
    rater.open(f"#{number}")
    said = rater.page.text_content("#wrong")
    assert said == f"There is no participant “{number[:20]}” in this study: look at the number that you were given."
    assert rater.page.locator("#wrong *").count() == 0
    rater.page.check("#agree")
    rater.page.click("#begin")
    assert rater.screen() == "consent"
    rater.page.fill("#number", "7")  # as one writes it
    assert rater.page.text_content("#wrong") == ""
    rater.page.click("#begin")
    rater.on("instructions")
    assert rater.page.url.endswith("#07")


def test_nobody_goes_on_without_consent_or_number(rater):
    rater.open("")
    rater.page.click("#begin")
    assert "number" in rater.page.inner_text("#wrong")
    rater.page.fill("#number", "07")
    rater.page.click("#begin")
    assert "tick the box" in rater.page.inner_text("#wrong")
    assert rater.screen() == "consent"
    assert rater.page.evaluate("() => localStorage.length") == 0


def test_text_of_the_lab_is_inert(browser, tmp_path):
    make_study(tmp_path / "study", consent=[SCRIPT, "A & B"], asked=SCRIPT, hint=SCRIPT, n_trials=1)
    rater = another(browser, tmp_path / "study")
    rater.open()
    assert SCRIPT in rater.page.inner_text("#consent") and "A & B" in rater.page.inner_text("#consent")
    rater.consent()
    assert rater.page.inner_text("#instructions").count(SCRIPT) == 2
    assert rater.page.locator("img").count() == 0
    rater.page.click("#start")
    rater.finish(["left"])
    assert rater.errors == []
    rater.context.close()


@pytest.mark.slow
def test_answers_stay_until_they_are_deleted(rater):
    rater.begin()
    rater.finish(["left", "right", "neither"])
    assert rater.page.is_hidden("#delete")
    with rater.page.expect_download():
        rater.page.click("#save")
    assert f"answers-{ID}-07.jsonl" in rater.page.inner_text("#thanks")
    assert rater.page.evaluate("() => localStorage.length") == 1
    rater.page.click("#delete")
    assert rater.page.evaluate("() => localStorage.length") == 0
    with rater.page.expect_download():
        rater.page.click("#save")
    assert rater.page.evaluate("() => localStorage.length") == 0
    rater.page.reload()
    rater.on("consent")


@pytest.mark.slow
def test_answers_can_be_copied_as_text(rater):
    rater.begin()
    rater.finish(["left", "right", "neither"])
    rater.page.click("summary")
    rater.page.click("#copy")
    rater.page.wait_for_function("() => document.getElementById('copied').textContent")
    assert "Cop" in rater.page.inner_text("#copied")
    assert len(checked(rater.text())) == 3


def test_answers_are_sent_where_the_lab_wants_them(browser, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    server = receiver.serve(kept, 0, "*", "127.0.0.1")
    for address in serving(server):
        make_study(tmp_path / "study", post=f"{address}/answers", n_trials=1)
        rater = another(browser, tmp_path / "study")
        rater.begin()
        rater.finish(["left"])
        rater.page.wait_for_function("() => document.getElementById('sent').textContent.includes('were sent')")
        (file,) = kept.iterdir()
        session = checked(rater.text())[0]["session"]
        assert file.name == f"answers-{ID}-07-{session}.jsonl" and file.read_text() == rater.text()
        rater.page.reload()
        rater.page.wait_for_selector("#delete")
        posts = [url for url in rater.requests if not url.startswith("file:")]
        assert posts == [f"{address}/answers"]
        assert rater.errors == []
        rater.context.close()


def test_what_could_not_be_sent_can_be_sent_again_or_saved(browser, tmp_path):
    class Refuses(BaseHTTPRequestHandler):
        status = 500

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response_only(self.status)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = static_server(tmp_path, Refuses)
    for address in serving(server):
        make_study(tmp_path / "study", post=address, n_trials=1)
        rater = another(browser, tmp_path / "study")
        rater.begin()
        rater.finish(["left"])
        rater.page.wait_for_selector("#send")
        assert "answered 500" in rater.page.inner_text("#sent")
        Refuses.status = 200
        rater.page.click("#send")
        rater.page.wait_for_selector("#delete")
        assert rater.page.is_hidden("#send")
        rater.context.close()
    rater = another(browser, tmp_path / "study")  # nobody listens any more
    rater.begin()
    rater.finish(["left"])
    rater.page.wait_for_selector("#send")
    assert "not reached" in rater.page.inner_text("#sent")
    with rater.page.expect_download() as download:
        rater.page.click("#save")
    assert len(checked(Path(download.value.path()).read_text())) == 1
    rater.context.close()


# ---- For everyone


def test_every_control_has_a_name_and_every_screen_a_heading(rater):
    client = rater.context.new_cdp_session(rater.page)

    def look():
        nodes = [node for node in client.send("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
        by_role = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
        roles = {"button", "textbox", "checkbox", "progressbar", "Video", "DisclosureTriangle"}
        controls = [(role, name) for role, name in by_role if role in roles]
        assert controls and all(name for _, name in controls), controls
        assert [role for role, _ in by_role].count("main") == 1
        assert rater.page.locator("h1:visible").count() == 1
        return controls

    rater.open()
    assert ("checkbox", "I have read this and take part") in look()
    rater.consent()
    look()
    rater.page.click("#start")
    rater.unlocked()
    controls = look()
    assert {("button", "Left"), ("button", "Right"), ("button", "Can’t tell")} <= set(controls)
    assert [name for role, name in controls if role == "Video"] == ["Left video", "Right video"]
    rater.answer("left")
    rater.unlocked()
    rater.page.click("#left")
    rater.on("break")
    look()
    rater.page.click("#continue")
    rater.finish(["left"])
    rater.page.click("summary")
    look()
    assert rater.page.locator("[role=status], [role=alert]").count() >= 5


@pytest.mark.parametrize("question", ["look", "fit"])
@pytest.mark.parametrize("size, shape", SHAPES)
def test_both_videos_and_all_buttons_are_in_the_window(browser, studies, size, question, shape):
    rater = another(browser, studies(question, shape), size=size)
    rater.begin()
    rater.unlocked()
    boxes = {name: rater.page.locator(f"#{name}").bounding_box() for name in ("left", "neither", "right", "asked")}
    videos = {
        video.get_attribute("data-side"): video.bounding_box() for video in rater.page.locator("#stage video").all()
    }
    assert list(videos) == (["left", "source", "right"] if question == "fit" else ["left", "right"])
    for box in [*boxes.values(), *videos.values()]:
        assert box["x"] >= 0 and box["y"] >= 0
        assert box["x"] + box["width"] <= size[0] and box["y"] + box["height"] <= size[1]
    assert rater.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
    along = "y" if size in (PHONE, (360, 640)) else "x"
    starts = [box[along] for box in videos.values()]
    assert starts == sorted(starts) and len(set(starts)) == len(starts)
    assert len({(round(box["width"]), round(box["height"])) for box in videos.values()}) == 1
    assert min(box["width"] * box["height"] for box in videos.values()) > 2500
    for box in videos.values():
        assert box["width"] / box["height"] == pytest.approx(shape[1] / shape[0], rel=0.02)
    rater.context.close()


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A study of one pair, by question and shape of the videos."""

    @functools.cache
    def make(question: str, shape: tuple[int, int]) -> Path:
        folder = tmp_path_factory.mktemp("shapes") / "study"
        make_study(folder, n_trials=1, n_frames=3, size=shape, question=question, hint="Look at the whole of both.")
        return folder

    return make


@pytest.mark.slow
def test_stacked_videos_are_named_by_side_and_place(browser, study):
    rater = another(browser, study, size=PHONE)
    rater.begin()
    assert rater.page.locator("figcaption:visible").all_inner_texts() == ["Left, above", "Right, below"]
    assert rater.page.inner_text("#right").split() == ["Right", "below"]
    rater.context.close()


@pytest.mark.slow
def test_a_rehearsal_is_said_on_every_screen_and_a_study_is_none(browser, tmp_path):
    for simulated in (True, False):
        folder = tmp_path / str(simulated)
        make_study(folder, n_trials=2, n_frames=3, break_after=1, simulated=simulated)
        rater = another(browser, folder)
        rater.open()
        said = [rater.page.locator(".banner:visible").count()]
        rater.consent()
        said.append(rater.page.locator(".banner:visible").count())
        rater.page.click("#start")
        rater.unlocked()
        said.append(rater.page.locator(".banner:visible").count())
        rater.page.click("#left")
        rater.on("break")
        said.append(rater.page.locator(".banner:visible").count())
        rater.page.click("#continue")
        rater.finish(["left"])
        said.append(rater.page.locator(".banner:visible").count())
        assert said == [int(simulated)] * 5
        assert {answer["simulated"] for answer in checked(rater.text())} == {simulated}
        rater.context.close()


def test_colours_can_be_read_in_light_and_dark():
    style = (Path(page.__file__).parent / "page/page.css").read_text()
    themes = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)[:2]]

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(a: str, b: str) -> float:
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for theme in themes:
        for ground in ("ground", "tint"):
            for ink in ("ink", "soft", "accent", "warn"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground, theme)
            assert contrast(theme["rule"], theme[ground]) >= 3  # borders of controls
        assert contrast(theme["on"], theme["accent"]) >= 4.5


# ---- The file


class Addresses(HTMLParser):
    """Whatever in a page names another place."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.found += [attributes[name] or "" for name in ("src", "href", "action", "data") if name in attributes]
        self.found += [name for name in attributes if name.startswith("on") or name == "style"]
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"] or ""


def test_the_file_needs_no_other_and_its_policy_allows_none(tmp_path):
    make_study(tmp_path / "plain", n_trials=1, n_frames=2)
    make_study(tmp_path / "post", n_trials=1, n_frames=2, post="https://lab.example:8443/a?b=1")
    text = (tmp_path / "plain/index.html").read_text()
    plain, post = (Addresses((tmp_path / name / "index.html").read_text()) for name in ("plain", "post"))
    assert plain.found == post.found == ["data:,"]
    assert "connect-src 'none'" in plain.policy and "connect-src https://lab.example:8443;" in post.policy
    assert "default-src 'none'" in plain.policy and "unsafe" not in plain.policy
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        assert base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() in plain.policy
    assert "http" not in re.sub(r'http-equiv="', "", text)


def test_no_text_ends_the_data(tmp_path):
    about = make_study(tmp_path / "study", n_trials=1, n_frames=2)
    text = page.render(about | {"id": SCRIPT + "<!--"}).decode()
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.S)
    assert "<" not in data and json.loads(data)["id"] == SCRIPT + "<!--"


@pytest.mark.parametrize(
    "post",
    ["ftp://lab.example", "lab.example", "https://", "javascript:alert(1)", "https://a.example; script-src *",
     "https://a.example/'", "https://user:word@a.example", "https://a.example:x", "http://[::1", "https://ä.example",
     ""],
)  # fmt: skip
def test_an_address_that_takes_no_answers_is_refused(tmp_path, post):
    about = make_study(tmp_path / "study", n_trials=1, n_frames=2)
    with pytest.raises(Fault, match="is no address to send answers to") as fault:
        page.render(about | {"post": post})
    assert "\n" not in str(fault.value)


# ---- The example of a receiver


def lines(n: int = 2, **changes) -> bytes:
    line = {"study": ID, "rater": "07", "session": SESSION, "trial": 0} | changes
    return "".join(json.dumps(line) + "\n" for _ in range(n)).encode()


@pytest.fixture
def post(tmp_path):
    """Send a request to a receiver; returns status, headers and the files that it keeps."""
    folder = tmp_path / "kept"
    folder.mkdir()

    def send(body: bytes, method: str = "POST", path: str = "/", **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        reply.read()
        connection.close()
        return reply.status, dict(reply.getheaders()), {file.name: file.read_bytes() for file in folder.iterdir()}

    server = receiver.serve(folder, 0, "https://lab.example", "127.0.0.1")
    for _ in serving(server):
        yield send
    assert sorted(tmp_path.iterdir()) == [folder]


def test_the_receiver_keeps_answers_once(post, capfd):
    name = f"answers-{ID}-07-{SESSION}.jsonl"
    status, headers, files = post(lines(), path="/anything/../else")
    assert (status, files) == (200, {name: lines()})
    assert headers["Access-Control-Allow-Origin"] == "https://lab.example"
    assert post(lines())[0] == 200  # the same again
    status, _, files = post(lines(3))
    assert (status, files) == (409, {name: lines()})
    assert post(lines(session="f" * 16))[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"\n", b"[]", b"1", b"null\n", b"\xff\xfe", b"[" * 100_000, lines(rater="../../x"), lines(rater="07\n"),
     lines(session="/etc/passwd"), lines(study=["a"]), lines(rater=7), lines(study={}), lines() + lines(rater="08"),
     lines() + b'{"study": "', b'{"rater": "07"}'],
    ids=lambda body: body[:30].decode(errors="replace"),
)  # fmt: skip
def test_the_receiver_keeps_nothing_else(post, body):
    status, _, files = post(body)
    assert 400 <= status < 500 and files == {}


def test_the_receiver_answers_what_a_browser_asks(post):
    status, headers, files = post(b"", method="OPTIONS")
    assert status == 204 and headers["Access-Control-Allow-Methods"] == "POST" and files == {}
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert post(b"", method=method)[0] == 501
    assert post(lines(5000))[0] == 413
    assert post(b"", **{"Content-Length": "10000000000000"})[0] == 411
    assert post(b"", **{"Content-Length": "-1"})[0] == 411


def test_the_receiver_starts_only_with_a_folder(tmp_path):
    command = [sys.executable, receiver.__file__, str(tmp_path / "none")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and "no such folder" in ended.stderr


def test_videos_of_the_made_up_study_differ(tmp_path):
    for seed in (1, 2):
        write_video(tmp_path / f"{video_name(seed)}.mp4", seed, 3)
    first, second = (file.read_bytes() for file in tmp_path.iterdir())
    assert first != second
