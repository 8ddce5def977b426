// What the pages of Dialog do by themselves where scripts run: tick a whole page, and follow a run.
"use strict";

(() => {
  const all = document.querySelector("input[data-all]");
  if (all) {
    const boxes = [...document.querySelectorAll(`input[type="checkbox"][name="${all.dataset.all}"]`)];
    all.hidden = boxes.length === 0;
    all.addEventListener("change", () => boxes.forEach((box) => { box.checked = all.checked; }));
    boxes.forEach((box) => box.addEventListener("change", () => {
      all.checked = boxes.every((each) => each.checked);
    }));
  }

  const progress = document.querySelector("[data-progress]");
  if (!progress) {
    return;
  }
  const pause = 2000;
  let shown = progress.innerHTML.trim();
  const follow = async () => {
    try {
      const answer = await fetch(progress.dataset.progress, { credentials: "same-origin", redirect: "error" });
      if (answer.ok) {
        const text = (await answer.text()).trim();
        const page = new DOMParser().parseFromString(text, "text/html");
        if (text !== shown) {
          // Only what has changed is put in, so that a screen reader is told of changes alone.
          shown = text;
          progress.replaceChildren(...page.body.childNodes);
        }
        if (progress.querySelector("[data-underway='no']")) {
          window.location.assign(window.location.pathname);
          return;
        }
      }
    } catch {
      // No answer: the next try may get one.
    }
    window.setTimeout(follow, pause);
  };
  window.setTimeout(follow, pause);
})();
