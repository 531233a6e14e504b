"use strict";
// Keys, the slider, the review and the list of a run that is going on. Every view works without it but for the slider's
// colors and the review's keys.

const page = document.body.dataset.page;
const all = (selector) => [...document.querySelectorAll(selector)];
const inField = (target) => target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");

function move(items, by) {
  const at = items.indexOf(document.activeElement);
  const next = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + by))];
  next?.focus();
}

function sideways(by) {
  const columns = all(".solutions > .solution").map((solution) => [...solution.querySelectorAll(".step")]).filter((s) => s.length);
  const at = columns.findIndex((steps) => steps.includes(document.activeElement));
  const row = at < 0 ? 0 : columns[at].indexOf(document.activeElement);
  const next = columns[at < 0 ? 0 : Math.min(columns.length - 1, Math.max(0, at + by))];
  next?.[Math.min(row, next.length - 1)].focus();
}

const own = {
  problems: { j: () => move(all(".row"), 1), k: () => move(all(".row"), -1) },
  problem: { j: () => move(all(".step"), 1), k: () => move(all(".step"), -1), l: () => sideways(1), h: () => sideways(-1) },
  tree: { j: () => move(all("summary"), 1), k: () => move(all("summary"), -1) },
  review: { j: () => move(all(".step"), 1), k: () => move(all(".step"), -1) },
}[page] ?? {};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (inField(event.target)) {
    if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "note")) { event.target.blur(); event.preventDefault(); }
    return;
  }
  const target = all("[data-key]").find((element) => element.dataset.key === event.key);
  if (own[event.key]) own[event.key]();
  else if (target?.matches("input, select")) target.focus();
  else if (target) target.click();
  else return;
  event.preventDefault();
});

// The list
all(".filters select, .filters [type=checkbox]").forEach((element) => element.addEventListener("change", () => element.form.requestSubmit()));
all(".filters").forEach((form) => form.addEventListener("submit", () => {
  for (const field of form.elements) if (field.name && !field.value) field.disabled = true; // short addresses
}));
addEventListener("pageshow", () => all(".filters :disabled").forEach((field) => { field.disabled = false; }));

async function look() {
  const live = document.body.dataset;
  let pause = 10000; // the server is away
  try {
    const state = await (await fetch("/state")).json();
    if (String(state.changed) !== live.changed || live.pause < 3000) {
      const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
      const focused = all(".row").indexOf(document.activeElement);
      document.getElementById("live").replaceWith(document.adoptNode(fresh.getElementById("live")));
      if (focused >= 0) all(".row")[focused]?.focus();
      Object.assign(live, fresh.body.dataset);
    }
    pause = live.pause;
  } catch {}
  setTimeout(look, pause);
}
if (page === "problems") setTimeout(look, document.body.dataset.pause);

// The tree
all("[data-do=open], [data-do=close]").forEach((button) => button.addEventListener("click", () => {
  for (const branch of all("details.branch")) branch.open = button.dataset.do === "open";
}));

// The slider
const slider = document.getElementById("at");
slider?.addEventListener("input", () => {
  const rows = all(".asked tbody tr"), row = rows[slider.value];
  rows.forEach((other) => other.classList.toggle("now", other === row));
  document.getElementById("now").value = slider.value;
  const tones = row.dataset.tones.trim().split(" "), errors = row.dataset.errors.trim().split(" ");
  all(".steps .step").forEach((step, i) => {
    step.className = `step t${tones[i]}`;
    step.querySelector(".p-error").textContent = `first wrong step: ${errors[i]} %`;
  });
});

// The review
if (page === "review") {
  const began = performance.now(), shown = ["reference"], said = document.getElementById("said");
  let sending = false, step = Number(document.body.dataset.step);
  const condensed = document.querySelector(".condensed"), mark = document.querySelector("[data-do=condensed]");
  const show = (on) => {
    condensed.hidden = !on;
    mark.setAttribute("aria-pressed", on);
    if (on && !shown.includes("condensed")) shown.push("condensed");
  };
  if (condensed) {
    show((sessionStorage.getItem("condensed") ?? document.body.dataset.condensed) === "shown");
    mark.addEventListener("click", () => {
      show(condensed.hidden);
      sessionStorage.setItem("condensed", condensed.hidden ? "hidden" : "shown");
    });
  }
  const asked = document.querySelector(".step.asked");
  asked?.scrollIntoView({ block: "center" });
  asked?.focus({ preventScroll: true });
  all(".step").forEach((element) => element.addEventListener("focus", () => {
    step = Number(element.dataset.step);
    all(".step.asked").forEach((other) => other.classList.toggle("asked", other === element));
    element.classList.add("asked");
    document.getElementById("solution").textContent = `Is step ${step + 1} right?`;
  }));
  document.querySelector("[data-do=labels]").addEventListener("click", (event) => {
    if (!shown.includes("labels")) shown.push("labels");
    all(".labels").forEach((element) => { element.hidden = false; });
    all(".step[data-tone]").forEach((element) => { if (element.dataset.tone) element.classList.add(`t${element.dataset.tone}`); });
    event.target.closest("button").hidden = true;
  });
  all("[data-finding]").forEach((button) => button.addEventListener("click", async () => {
    if (sending) return;
    sending = true;
    said.textContent = "";
    try {
      const answer = await fetch(`/review/${document.body.dataset.number}/finding`, {
        method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ step, finding: button.dataset.finding, note: document.getElementById("note").value,
          seconds: (performance.now() - began) / 1000, shown }),
      });
      const told = await answer.json();
      if (answer.ok) { location.assign(told.next); return; }
      said.textContent = told.error;
    } catch { said.textContent = "Not saved: the viewer does not answer. Restart it, then press the key again."; }
    sending = false;
  }));
}
