// A dividing line across two videos, and stepping of videos. Without it the page is one of plain videos.
"use strict";
// The comparison of the first screen: one video of several pictures, cut into a stage of two and a row of all.
for (const figure of document.querySelectorAll(".compare")) {
  const video = figure.querySelector("video"), stage = figure.querySelector(".stage"), range = stage.querySelector("input");
  const [large, ...small] = figure.querySelectorAll("canvas"), button = figure.querySelector("[data-do=play]");
  const across = Number(figure.dataset.across), down = Number(figure.dataset.down), poster = new Image();
  const width = video.getAttribute("width") / across, height = video.getAttribute("height") / down;
  const sides = Object.fromEntries([...figure.querySelectorAll("select")].map(s => [s.dataset.side, s]));
  for (const canvas of [large, ...small]) [canvas.width, canvas.height] = [width, height];
  const cut = (canvas, tile, from, to) => {   // draws the part of a tile between two shares of its width
    const picture = video.readyState > 1 ? video : poster, x = Math.round(from * width), w = Math.round(to * width) - x;
    if (w > 0 && (picture === video || poster.complete && poster.naturalWidth))
      canvas.getContext("2d").drawImage(picture, tile % across * width + x, Math.floor(tile / across) * height, w, height, x, 0, w, height);
  };
  const draw = () => {
    const share = range.value / 100;
    cut(large, Number(sides.left.value), 0, share);
    cut(large, Number(sides.right.value), share, 1);
    small.forEach((canvas, tile) => cut(canvas, tile, 0, 1));
  };
  const divide = share => {
    range.value = Math.round(100 * share);
    stage.style.setProperty("--at", `${range.value}%`);
    const name = side => sides[side].selectedOptions[0].text;
    range.setAttribute("aria-valuetext", `${range.value} % ${name("left")}, ${100 - range.value} % ${name("right")}`);
    draw();
  };
  const follow = () => {
    draw();
    if (!video.paused) requestAnimationFrame(follow);
  };
  const drag = event => {
    const box = large.getBoundingClientRect();
    divide(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  };
  large.addEventListener("pointerdown", event => { large.setPointerCapture(event.pointerId); drag(event); });
  large.addEventListener("pointermove", event => { if (large.hasPointerCapture(event.pointerId)) drag(event); });
  range.addEventListener("input", () => divide(range.value / 100));
  Object.values(sides).forEach(select => select.addEventListener("change", () => divide(range.value / 100)));
  const label = () => { button.textContent = video.paused ? "Play" : "Pause"; };
  video.addEventListener("play", () => { label(); follow(); });
  video.addEventListener("pause", label);
  ["loadeddata", "seeked"].forEach(name => video.addEventListener(name, draw));
  button.addEventListener("click", () => video.paused ? video.play() : video.pause());
  poster.addEventListener("load", draw);
  poster.src = video.poster;
  video.removeAttribute("controls");
  video.tabIndex = -1;
  video.setAttribute("aria-hidden", "true");
  figure.classList.add("live");
  figure.querySelectorAll("[hidden]").forEach(part => { part.hidden = false; });
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) video.pause(), video.removeAttribute("autoplay");
  label();
  divide(0.5);
  follow();
}
document.querySelectorAll(".hint").forEach(hint => { hint.hidden = false; });
let last = null;   // the player that was used last: , and . step it from anywhere on the page
for (const figure of document.querySelectorAll(".player")) {
  const video = figure.querySelector("video"), controls = figure.querySelector(".controls"), slider = figure.querySelector("input");
  const output = figure.querySelector("output"), head = figure.querySelector(".playhead"), strip = figure.querySelector(".strip");
  const fps = Number(figure.dataset.fps), n = Number(figure.dataset.frames), step = Number(strip?.dataset.step);
  const button = Object.fromEntries([...figure.querySelectorAll("button")].map(b => [b.dataset.do, b]));
  const screen = figure.querySelector(".screen");
  const crop = () => { screen.style.aspectRatio = button.motion?.getAttribute("aria-pressed") === "false" ? figure.dataset.first : ""; };
  let at = Number(slider.value) - 1;   // until it is first moved, the poster shows the middle frame
  const show = frame => {
    at = Math.min(n - 1, Math.max(0, frame));
    slider.value = at + 1;
    output.value = `${at + 1} / ${n}`;
    head?.setAttribute("transform", `translate(${at * step} 0)`);
  };
  const go = frame => {
    video.pause();
    video.loop = false;   // or a seek to the last frame would go round to the first
    show((frame + n) % n);
    video.currentTime = (at + 0.5) / fps;   // the middle of the frame's time: rounding cannot miss it
  };
  const play = () => {
    video.loop = true;
    return video.paused ? video.play() : video.pause();
  };
  const watch = () => {
    if (!video.paused) show(Math.floor(video.currentTime * fps + 1e-3));
    if (!video.paused) requestAnimationFrame(watch);
  };
  video.removeAttribute("controls");
  video.tabIndex = 0;
  controls.hidden = false;
  crop();
  show(at);
  video.addEventListener("play", () => {
    document.querySelectorAll(".player video").forEach(v => v !== video && v.pause());
    button.play.textContent = "Pause";
    button.play.setAttribute("aria-label", "pause");
    last = go;
    last.at = () => at;
    watch();
  });
  video.addEventListener("pause", () => {
    button.play.textContent = "Play";
    button.play.setAttribute("aria-label", "play");
  });
  video.addEventListener("click", play);
  button.play.addEventListener("click", play);
  button.back.addEventListener("click", () => go(at - 1));
  button.on.addEventListener("click", () => go(at + 1));
  button.slow.addEventListener("click", () => {
    const slow = video.playbackRate === 1;
    video.playbackRate = slow ? 0.25 : 1;
    button.slow.setAttribute("aria-pressed", slow);
  });
  button.motion?.addEventListener("click", () => {
    button.motion.setAttribute("aria-pressed", button.motion.getAttribute("aria-pressed") === "false");
    crop();
  });
  button.large.addEventListener("click", () =>
    document.fullscreenElement ? document.exitFullscreen() : figure.requestFullscreen ? figure.requestFullscreen() : video.webkitEnterFullscreen());
  slider.addEventListener("input", () => go(Number(slider.value) - 1));
  strip?.addEventListener("click", event => {
    const box = strip.getBoundingClientRect();
    go(Math.floor((event.clientX - box.left) / box.width * n));
  });
  figure.addEventListener("focusin", () => { last = go; last.at = () => at; });
  figure.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = {ArrowLeft: -1, ArrowRight: 1};
    if (event.key in moves) go(at + moves[event.key]);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(n - 1);
    else if (event.key === " " && event.target.tagName !== "BUTTON") play();
    else return;
    event.preventDefault();
  });
}
document.addEventListener("keydown", event => {
  if (last && (event.key === "," || event.key === ".") && !event.ctrlKey && !event.metaKey && !event.altKey) last(last.at() + (event.key === "," ? -1 : 1));
});
