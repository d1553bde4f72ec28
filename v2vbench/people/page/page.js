// The page of a study: from consent through pairs of videos in step to a file of answers.
"use strict";
const about = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const SCREENS = ["consent", "instructions", "trial", "break", "end", "elsewhere"];
const CHOICES = ["left", "neither", "right"];
const PATIENCE = 20000;     // ms without data until a pair counts as not loaded
const FAR = 3;              // frames; videos further apart are brought together by seeking, nearer ones by waiting
const LARGEST = 3;          // CSS pixels a pixel of the videos, at most
const TAB = hex(8);         // of this load of the page

function hex(bytes) {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, byte => byte.toString(16).padStart(2, "0")).join("");
}

// ---- Two or three videos in step

function make(name, side) {
  const video = document.createElement("video");
  Object.assign(video, {muted: true, defaultMuted: true, playsInline: true, preload: "auto"});
  Object.assign(video, {disableRemotePlayback: true, disablePictureInPicture: true});
  video.dataset.side = side;
  video.setAttribute("playsinline", "");
  video.setAttribute("aria-label", `${side[0].toUpperCase()}${side.slice(1)} video`);
  video.addEventListener("contextmenu", event => event.preventDefault());
  video.shown = 0;          // number of the frame on the screen
  const see = (_, {mediaTime}) => {
    video.shown = Math.round(mediaTime * about.fps);
    video.requestVideoFrameCallback(see);
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(see);
  video.src = `videos/${encodeURIComponent(name)}.mp4`;
  return video;
}

function once(video, event, begin) {
  return new Promise(done => { video.addEventListener(event, done, {once: true}); begin?.(); });
}

const final = video => Math.round(video.duration * about.fps) - 1;   // number of the last frame
const clock = video => Math.min(video.currentTime * about.fps, final(video));

function shown(video) {     // a report that is ahead of the clock is of an earlier loop, and comes late
  const now = Math.floor(clock(video));
  return video.ended ? final(video) : !video.requestVideoFrameCallback || video.shown > now + 1 ? now : video.shown;
}

class Pair {
  // on: what to call: first() at the first frame, loop() after each whole loop, failed(reason), blocked()
  constructor([left, right, source]) {
    const named = [[left, "left"], ...(source ? [[source, "source"]] : []), [right, "right"]];
    this.videos = named.map(([name, side]) => make(name, side));
    Object.assign(this, {loops: 0, drift: 0, run: 0, wanted: false, begun: false, broken: false, on: null});
    for (const video of this.videos) {
      video.addEventListener("error", () => this.fail());
      video.addEventListener("ended", () => this.end());
      for (const sign of ["loadeddata", "canplay", "progress", "timeupdate", "seeked"])
        video.addEventListener(sign, () => this.watch());
    }
  }
  open(on) {
    this.on = on;
    this.broken ? this.fail() : this.play();
  }
  fail() {
    this.broken = true;
    this.stop();
    this.on?.failed();
  }
  stop() {
    this.run++;
    this.wanted = false;
    clearTimeout(this.timer);
    this.videos.forEach(video => video.pause());
  }
  close() {                 // frees what the browser holds of them
    this.on = null;
    this.stop();
    for (const video of this.videos) video.removeAttribute("src"), video.load();
  }
  watch() {                 // something came: wait anew
    clearTimeout(this.timer);
    if (this.wanted) this.timer = setTimeout(() => this.fail(), PATIENCE);
  }
  async play(frame = 0) {   // all from one frame, together
    this.stop();
    if (document.hidden) return;
    const run = this.run, present = () => run === this.run;
    this.wanted = true;
    this.watch();
    await Promise.all(this.videos.map(video => this.loaded(video, present)));
    if (!present()) return;
    const at = frame ? (frame + 0.5) / about.fps : 0;
    await Promise.all(this.videos.map(video => once(video, "seeked", () => { video.currentTime = at; })));
    if (!present()) return;
    for (const video of this.videos) Object.assign(video, {shown: frame, held: false});
    try {
      await Promise.all(this.videos.map(video => video.play()));
    } catch (error) {
      if (!present()) return;                             // play() was ended by a later pause(), as it should be
      if (error.name === "NotAllowedError") this.stop(), this.on.blocked();
      else this.fail();
      return;
    }
    if (!present()) return;
    if (!this.begun) this.begun = true, this.on.first();
    Object.assign(this, {before: [], since: null});
    requestAnimationFrame(time => this.steer(run, time));
    this.end();             // a short one may be through before all of them began
  }
  async loaded(video, present) {
    // Browsers of phones load nothing before a video plays: it is played for a moment, muted and out of sight.
    const nudge = setTimeout(() => { if (present()) video.play().then(() => video.pause(), () => {}); }, 2000);
    while (present() && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) await once(video, "canplay");
    clearTimeout(nudge);
  }
  end() {
    if (!this.begun || !this.wanted || !this.videos.every(video => video.ended)) return;
    this.loops++;
    this.on.loop();
    if (this.wanted) this.play();
  }
  steer(run, time) {
    if (run !== this.run) return;
    const frames = this.videos.map(shown), last = Math.min(...frames);
    const [apart, clocks_apart] = [frames, this.videos.map(clock)].map((now, i) => {
      const leads = now.flatMap(a => now.map(b => a - b)), before = this.before[i];
      this.before[i] = leads;
      // Frames of two videos never change at the same instant: what one refresh of the screen shows is no distance.
      return before ? Math.max(...leads.map((lead, j) => Math.min(lead, before[j]))) : 0;
    });
    this.drift = Math.max(this.drift, apart, clocks_apart);
    if (apart > FAR) return void this.play(last);
    this.since = apart ? this.since ?? time : null;
    const behind = this.since !== null && time - this.since > 1000 / about.fps;
    this.videos.forEach((video, i) => {
      if (video.held && frames[i] === last) video.held = false, this.resume(video, run);
      else if (behind && frames[i] > last && !video.ended && !video.held) video.held = true, video.pause();
    });
    requestAnimationFrame(next => this.steer(run, next));
  }
  resume(video, run) {
    video.play().catch(error => { if (run === this.run && error.name !== "AbortError") this.fail(); });
  }
}

// ---- Answers, and where they are kept

const TABLE = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? n >>> 1 ^ 0xedb88320 : n >>> 1;
  return n;
});

function crc32(text) {
  let sum = ~0;
  for (const byte of new TextEncoder().encode(text)) sum = TABLE[(sum ^ byte) & 255] ^ sum >>> 8;
  return (~sum >>> 0).toString(16).padStart(8, "0");
}

const CHECK = ',"check":"xxxxxxxx"}'.length;
const chained = (previous, line) => crc32(`${previous}${line.slice(0, -CHECK)}}`) === line.slice(-10, -2);
const last_check = lines => lines.length ? lines.at(-1).slice(-10, -2) : about.id;

let rater = null, trials = [], state = null;   // state: session, lines, reloads, sent, tab, as in localStorage
const key = number => `v2vbench/study/${about.id}/${number}`;
const text = () => state.lines.map(line => `${line}\n`).join("");

function saved(number) {   // what this browser has of a number; null: nothing; "damaged"
  let there;
  try { there = localStorage.getItem(key(number)); } catch { return null; }
  if (there === null) return null;
  try {
    const found = JSON.parse(there), {session, lines, reloads} = found;
    const fits = (line, i) => chained(last_check(lines.slice(0, i)), line) && JSON.parse(line).trial === i;
    const whole = /^[0-9a-f]{16}$/.test(session) && Number.isInteger(reloads) && lines.every(fits);
    return whole && lines.length <= about.raters[number].length ? found : "damaged";
  } catch { return "damaged"; }
}

function keep(take = false) {   // false: another tab has taken the session over, and nothing was written
  if (state.deleted) return true;
  try {
    const there = take ? null : localStorage.getItem(key(rater));
    if (there !== null && JSON.parse(there).tab !== TAB) return elsewhere(), false;
    localStorage.setItem(key(rater), JSON.stringify(state));
    sessionStorage.setItem(key(rater), TAB);
  } catch {
    $("forgetful").textContent = "This browser keeps nothing: a reload, or closing the page, would lose your answers.";
    $("forgetful").hidden = false;
  }
  return true;
}

function record(choice) {
  const [left, right] = trials[state.lines.length];
  const line = JSON.stringify({
    schema: "v2vbench/answers/1", study: about.id, rater, session: state.session, trial: state.lines.length,
    left, right, answer: choice, ms: watched(), loops: pair.loops, drift: Math.round(pair.drift * 100) / 100,
    screen: [innerWidth, innerHeight], reloads: state.reloads, simulated: about.simulated,
  });
  state.lines.push(`${line.slice(0, -1)},"check":"${crc32(last_check(state.lines) + line)}"}`);
}

// ---- Screens

function show(name) {
  for (const other of SCREENS) $(other).hidden = other !== name;
  document.querySelector("main").dataset.screen = name;
  scrollTo(0, 0);
  $(name).querySelector("h1").focus({preventScroll: true});
}

const screen_now = () => document.querySelector("main").dataset.screen;

function elsewhere() {
  pair?.close(), coming?.close();
  pair = coming = null;
  show("elsewhere");
}

function named() {   // the number of a rater as in the study; null: there is none such
  const typed = $("number").value.trim(), known = Object.keys(about.raters);
  return known.find(number => number === typed || /^\d+$/.test(typed) && Number(number) === Number(typed)) ?? null;
}

function entry() {   // what the first screen says of the number in its field
  const typed = $("number").value.trim(), number = named(), found = number && saved(number);
  const unknown = `There is no participant “${typed}” in this study: look at the number that you were given.`;
  $("wrong").textContent = typed && !number ? unknown : "";
  $("saved").textContent = !found ? ""
    : found === "damaged" ? "What this browser had of your answers is damaged: you begin with the first pair."
    : `This browser has ${found.lines.length} of your ${about.raters[number].length} answers.`;
  $("begin").textContent = found && found !== "damaged" ? "Go on where you stopped" : "Go on";
}

function enter(number) {   // consent was given, now or before
  rater = number, trials = about.raters[rater];
  const found = saved(rater), old = found && found !== "damaged";
  state = old ? found : {session: hex(8), lines: [], reloads: 0};
  if (old) state.reloads++;
  state.tab = TAB;
  keep(true);
  history.replaceState(null, "", `#${rater}`);
  if (old && state.started) return next();
  const pairs = trials.length, loops = trials.reduce((sum, [left]) => sum + about.ms[left], 0);
  const minutes = Math.round((2 * loops + 2000 * pairs) / 60000);   // two loops and two seconds a pair
  $("extent").textContent = `${pairs} pairs, about ${minutes > 1 ? `${minutes} minutes` : "a minute"}`
    + (about.break_after && about.break_after < pairs ? `, with a break after ${about.break_after} pairs.` : ".");
  coming = new Pair(trials[0]);
  show("instructions");
}

// ---- A pair

let pair = null, coming = null, unlocked = false, began = 0, away = 0, left_at = null;
const watched = () => pair.begun ? Math.round(performance.now() - began - away) : 0;

function next(fresh = false) {   // fresh: the same pair anew, after it failed
  const n = state.lines.length;
  if (n === trials.length) return finish();
  pair?.close();
  pair = !fresh && coming || new Pair(trials[n]);
  coming = fresh ? coming : null;
  document.querySelector("main").dataset.trial = n;
  $("count").textContent = `${n + 1} of ${trials.length}`;
  $("bar").max = trials.length;
  $("bar").value = n;
  const stage = $("stage"), set = (name, value) => stage.style.setProperty(name, value);
  set("--n", pair.videos.length), set("--ratio", about.width / about.height);
  set("--most", `${LARGEST * about.width}px`);
  stage.replaceChildren(...pair.videos.map(framed));
  lock(true);
  $("status").textContent = "Watch the pair to its end.";
  broken(null);
  show("trial");
  away = 0, left_at = null;
  pair.open({first, loop, failed, blocked});
}

function framed(video) {
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  const {side} = video.dataset, where = {left: ", above", right: ", below"}[side];
  const stacked = document.createElement("small");
  caption.textContent = {left: "Left", right: "Right", source: "Source"}[side];
  if (where) stacked.className = "stacked", stacked.textContent = where, caption.append(stacked);
  figure.className = side;
  figure.append(caption, video);
  return figure;
}

function lock(locked) {
  unlocked = !locked;
  for (const choice of CHOICES) $(choice).disabled = locked;
}

function first() {
  began = performance.now();
  const after = trials[state.lines.length + 1];
  if (after && !coming) coming = new Pair(after);
}

function loop() {
  if (pair.loops > 1) return;
  lock(false);
  $("status").textContent = "You can answer now.";
}

function broken(why, button) {   // why: null where the pair plays
  $("failure").hidden = why === null;
  $("stage").hidden = $("replay").hidden = why !== null;
  $("why").textContent = why ?? "";
  if (why === null) return;
  lock(true);
  $("status").textContent = "";
  $("retry").textContent = button;
  $("retry").focus();
}

const failed = () => broken("This pair could not be loaded.", "Try again");
const blocked = () => broken("Your browser waits for a tap before it plays videos.", "Play");

function answer(choice) {
  if (screen_now() !== "trial" || !(choice === "failed" ? !$("failure").hidden : unlocked)) return;
  lock(true);
  record(choice);
  pair.close();
  if (!keep()) return;
  const n = state.lines.length;
  if (n < trials.length && about.break_after && n % about.break_after === 0) {
    $("far").textContent = `${n} of ${trials.length} pairs are done.`;
    show("break");
  } else next();
}

const KEYS = {ArrowLeft: "left", f: "left", ArrowRight: "right", j: "right", ArrowDown: "neither", " ": "neither"};

document.addEventListener("keydown", event => {
  if (screen_now() !== "trial" || event.ctrlKey || event.altKey || event.metaKey) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (name === " " && event.target.closest("button")) return;   // space presses the button that has the focus
  if (name in KEYS) event.preventDefault();                     // and the page does not scroll
  if (event.repeat) return;
  if (name in KEYS) answer(KEYS[name]);
  else if (name === "r" && $("failure").hidden) pair.play();
});
document.addEventListener("keyup", event => {   // a space that answered presses nothing on its way up
  if (event.key === " " && screen_now() === "trial" && !event.target.closest("button")) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (!pair || screen_now() !== "trial" || !$("failure").hidden) return;
  if (document.hidden) {
    left_at = performance.now();
    pair.stop();
  } else {
    if (left_at !== null && pair.begun) away += performance.now() - left_at;
    left_at = null;
    pair.play();
  }
});

// ---- The end

function finish() {
  pair?.close();
  pair = coming = null;
  $("text").value = text();
  $("after").hidden = !state.saved && !state.sent;
  show("end");
  if (about.post) state.sent ? told() : send();
}

function told() {
  $("sent").hidden = false;
  $("sent").textContent = "Your answers were sent. Thank you! You can close this page.";
  $("send").hidden = true;
  $("after").hidden = false;
}

async function send() {
  $("sent").hidden = false;
  $("sent").textContent = "Your answers are being sent …";
  $("send").hidden = true;
  let reason;
  try {   // a body of plain text needs no question beforehand
    const headers = {"Content-Type": "text/plain;charset=UTF-8"}, body = text();
    const privately = {credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store"};
    const reply = await fetch(about.post, {method: "POST", headers, body, ...privately});
    if (reply.ok) {
      state.sent = true;
      if (keep()) told();
      return;
    }
    reason = `the receiver answered ${reply.status}`;
  } catch { reason = "the receiver was not reached"; }
  $("sent").textContent = `Your answers could not be sent: ${reason}. Send them again, or save them as a file.`;
  $("send").hidden = false;
}

$("send").addEventListener("click", send);
$("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text()], {type: "application/x-ndjson"}));
  link.download = `answers-${about.id}-${rater}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  state.saved = true;
  if (!keep()) return;
  $("thanks").textContent = `Thank you! The file is ${link.download}${about.post ? "." : ": please send it back."}`;
  $("after").hidden = false;
});
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(text());
    $("copied").textContent = "Copied.";
  } catch {   // pages from a plain host may not write there
    $("text").select();
    $("copied").textContent = document.execCommand("copy") ? "Copied." : "Copy the marked text by hand.";
  }
});
$("delete").addEventListener("click", () => {
  try {
    localStorage.removeItem(key(rater));
    sessionStorage.removeItem(key(rater));
    $("deleted").textContent = "Deleted. You can close this page.";
  } catch { $("deleted").textContent = "This browser keeps nothing: there is nothing to delete."; }
  state.deleted = true;     // and is not written again
  $("delete").disabled = true;
});

// ---- Begin

$("entry").addEventListener("submit", event => {
  event.preventDefault();
  entry();
  const number = named();
  if (!number) {
    $("wrong").textContent ||= "Enter the number that you were given.";
    $("number").focus();
  } else if (!$("agree").checked) {
    $("wrong").textContent = "To take part, tick the box above; otherwise close the page.";
    $("agree").focus();
  } else enter(number);
});
$("number").addEventListener("input", entry);
$("start").addEventListener("click", () => {
  state.started = true;
  if (keep()) next();
});
$("continue").addEventListener("click", () => next());
$("replay").addEventListener("click", () => pair.play());
$("retry").addEventListener("click", () => next(true));
$("skip").addEventListener("click", () => answer("failed"));
for (const choice of CHOICES) $(choice).addEventListener("click", () => answer(choice));

addEventListener("storage", event => {
  if (screen_now() === "consent") entry();
  else if (event.key === key(rater) && event.newValue && JSON.parse(event.newValue).tab !== TAB) elsewhere();
});
addEventListener("beforeunload", event => {
  if (!$("forgetful").hidden && state?.lines.length && !state.saved && !state.sent) event.preventDefault();
});

function from_address() {
  try { return decodeURIComponent(location.hash.slice(1)).slice(0, 20); } catch { return location.hash.slice(1, 21); }
}

addEventListener("hashchange", () => { if (from_address() !== rater) location.reload(); });   // another number

$("number").value = from_address();
const here = named(), before = here && saved(here);
let same = null;   // the tab that held the session, if it was this one before it was loaded again
try { same = sessionStorage.getItem(key(here)); } catch { /* nothing is kept: the first screen comes */ }
if (before && before !== "damaged" && before.tab === same) enter(here);
else entry(), show("consent");
