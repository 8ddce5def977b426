// Light or dark as chosen in Airflow's UI, which keeps the choice where this page can read it; and whether
// the page is shown within that UI, which then has links of its own.
"use strict";

(() => {
  const root = document.documentElement;
  const follow = () => {
    let choice = null;
    try {
      choice = window.localStorage.getItem("theme");
    } catch {
      // A browser that keeps nothing: the system's preference holds.
    }
    if (choice === "light" || choice === "dark") {
      root.dataset.theme = choice;
    } else {
      delete root.dataset.theme;
    }
  };
  follow();
  window.addEventListener("storage", follow);
  root.classList.toggle("framed", window.self !== window.top);
})();
