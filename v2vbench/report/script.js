// Stepping of videos. Without it the page is one of plain videos.
"use strict";
document.querySelectorAll(".hint").forEach(hint => { hint.hidden = false; });
let last = null;   // the player that was used last: , and . step it from anywhere on the page
for (const figure of document.querySelectorAll(".player")) {
  const video = figure.querySelector("video"), controls = figure.querySelector(".controls"), slider = figure.querySelector("input");
  const output = figure.querySelector("output"), head = figure.querySelector(".playhead"), strip = figure.querySelector(".strip");
  const fps = Number(figure.dataset.fps), n = Number(figure.dataset.frames), step = Number(strip?.dataset.step);
  const button = Object.fromEntries([...figure.querySelectorAll("button")].map(b => [b.dataset.do, b]));
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
