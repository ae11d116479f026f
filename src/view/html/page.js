"use strict";
// A page of a recording: puts the pieces of one moment together and shows them. What a figure looks like is not decided
// here: every piece was written with the page.
(() => {
  const slider = document.getElementById("scrub");
  if (!slider) return;
  const data = JSON.parse(document.getElementById("data").textContent);
  const times = data.at_s;
  const last = times.length - 1;
  const [moment, clock, worst, play, cursor] =
    ["moment", "clock", "worst", "play", "cursor"].map((id) => document.getElementById(id));
  // The time that all of it takes to play, at the most; what is shorter plays as fast as it was.
  const LONGEST_S = 30;
  let shown = -1;
  let timer = null;

  // The pieces of each moment: runs of those of the moment before, or, where the place is negative, of all pieces.
  const moments = [];
  for (const runs of data.moments) {
    const before = moments.at(-1) ?? [];
    const pieces = [];
    for (let run = 0; run < runs.length; run += 2) {
      const [start, length] = [runs[run], runs[run + 1]];
      for (let step = 0; step < length; step++) pieces.push(start < 0 ? -1 - start + step : before[start + step]);
    }
    moments.push(pieces);
  }
  const markup = (index) => moments[index].map((piece) => data.pieces[piece]).join("");

  // The first moment at or after a time, or the last one.
  const at = (seconds) => {
    let [low, high] = [0, last];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < seconds - 5e-4) low = middle + 1; else high = middle;
    }
    return low;
  };

  const show = (wanted) => {
    const index = Math.min(Math.max(wanted, 0), last);
    if (index === shown) return;
    shown = index;
    const open = [...moment.querySelectorAll("details[open]")].map((one) => one.id);
    const focused = moment.contains(document.activeElement) ? document.activeElement.closest("[id]") : null;
    moment.innerHTML = markup(index);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused.id)?.focus({ preventScroll: true });
    const seconds = times[index];
    slider.value = seconds;
    clock.textContent = seconds.toFixed(3) + " s";
    const alert = moment.querySelector(".alert");
    worst.textContent = alert ? alert.textContent.trim().replace(/\s+/g, " ") : "";
    worst.className = alert ? alert.className.replace("alert", "").trim() : "";
    slider.setAttribute("aria-valuetext", seconds.toFixed(1) + " s. " + worst.textContent);
    const x = (seconds / Number(slider.max)) * cursor.ownerSVGElement.viewBox.baseVal.width;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
  };

  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "play";
    play.setAttribute("aria-pressed", "false");
    remember();
  };

  // The address is that of what is shown, to copy it.
  const remember = () => {
    if (shown >= 0) history.replaceState(null, "", "#t=" + times[shown].toFixed(3));
  };

  const go = (index) => {
    if (timer) stop();
    show(index);
    remember();
  };

  const toggle = () => {
    if (timer) return stop();
    const length = times[last] - times[0];
    const speed = Math.max(1, length / LONGEST_S);
    const from = shown === last ? times[0] : times[shown];
    const begun = performance.now();
    play.textContent = "stop";
    play.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      const seconds = from + ((performance.now() - begun) / 1000) * speed;
      show(at(seconds));
      if (seconds >= times[last]) stop();
    }, 66);
  };

  // Where the address points, or the end.
  const follow = () => {
    const found = /^#t=([0-9.]+)$/.exec(location.hash);
    if (timer) stop();
    show(found ? at(Number(found[1])) : last);
  };

  const leap = Math.max(1, Math.round(last / 20));
  const keys = {
    ArrowLeft: () => go(shown - 1), ArrowRight: () => go(shown + 1), ArrowDown: () => go(shown - 1),
    ArrowUp: () => go(shown + 1), PageUp: () => go(shown + leap), PageDown: () => go(shown - leap),
    Home: () => go(0), End: () => go(last),
  };
  // On the slider every key that moves it, elsewhere those that do not scroll the page.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const free = document.activeElement === document.body;
    if (event.key === " " && (free || event.target === slider)) {
      event.preventDefault();
      toggle();
    } else if (keys[event.key] && (event.target === slider || (free && event.key.match(/Left|Right/)))) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  slider.addEventListener("input", () => { if (timer) stop(); show(at(Number(slider.value))); });
  slider.addEventListener("change", remember);
  play.addEventListener("click", toggle);
  document.getElementById("back").addEventListener("click", () => go(shown - 1));
  document.getElementById("on").addEventListener("click", () => go(shown + 1));
  addEventListener("hashchange", follow);
  for (const one of document.querySelectorAll(".scrub [disabled]")) one.disabled = false;
  follow();
})();
// A page of symbols: hides the rows that have not every word of the search in them, and adds up the others.
(() => {
  const search = document.getElementById("search");
  if (!search) return;
  const { bytes } = JSON.parse(document.getElementById("data").textContent);
  const rows = [...(document.querySelector("#symbols tbody")?.rows ?? [])];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const found = document.getElementById("found");
  const look = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let [count, sum] = [0, 0];
    rows.forEach((row, index) => {
      const shown = words.every((word) => texts[index].includes(word));
      row.hidden = !shown;
      if (shown) {
        count += 1;
        sum += bytes[index];
      }
    });
    found.textContent = `${count} of ${rows.length} rows, ${sum} B`;
    history.replaceState(null, "", words.length ? "#q=" + encodeURIComponent(search.value) : location.pathname);
  };
  search.addEventListener("input", look);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    }
  });
  search.disabled = false;
  // The address may ask.
  const follow = () => {
    const asked = /^#q=(.*)$/.exec(location.hash);
    try {
      search.value = asked ? decodeURIComponent(asked[1]) : "";
    } catch {
      search.value = "";
    }
    look();
  };
  addEventListener("hashchange", follow);
  follow();
})();
