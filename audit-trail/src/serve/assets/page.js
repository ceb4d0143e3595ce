// Keys and the live tail. Everything else works without this script.
"use strict";

(() => {
  const rows = () => [...document.querySelectorAll("tr.event")];
  const isWriting = (target) => /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  let current = null;

  function select(row) {
    if (!row) return;
    if (current) current.removeAttribute("aria-selected");
    current = row;
    row.setAttribute("aria-selected", "true");
    row.querySelector("a.open").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const all = rows();
    const at = all.indexOf(current);
    select(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    const keys = document.getElementById("keys");
    if (keys && keys.open) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "o" && current) current.querySelector("a.open").click();
    else if (event.key === "/") {
      const first = document.querySelector("#search input");
      if (!first) return void (location.href = "/");
      first.focus();
      first.select();
    } else if (event.key === "?" && keys) keys.showModal();
    else return;
    event.preventDefault();
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr.event");
    if (row && row !== current) {
      if (current) current.removeAttribute("aria-selected");
      current = row;
      row.setAttribute("aria-selected", "true");
    }
  });

  // A click on an id selects all of it.
  document.addEventListener("click", (event) => {
    const id = event.target.closest("code.id");
    if (id && !id.closest("a")) getSelection().selectAllChildren(id);
  });

  // The live tail: rows appear above the list, and wait while the viewer has scrolled down.
  const MOST = 500;
  const live = document.querySelector("[data-tail]");
  const button = document.getElementById("tail");
  const state = document.getElementById("tail-state");
  const body = document.getElementById("events");
  let source = null;
  let waiting = [];
  let left = 0;

  function insert() {
    for (const html of waiting.splice(0)) {
      // A template runs nothing, and the server has escaped each value.
      const template = document.createElement("template");
      template.innerHTML = html;
      const row = template.content.querySelector("tr.event");
      if (!row || rows().some((other) => other.dataset.id === row.dataset.id)) continue;
      row.classList.add("new");
      body.prepend(row);
    }
    while (body.rows.length > MOST) body.lastElementChild.remove();
    say();
  }

  function say() {
    if (!source) state.textContent = "";
    else if (left) state.textContent = `following; ${left} were too many and are left out: reload`;
    else if (waiting.length) state.textContent = `${waiting.length} new above: scroll up`;
    else state.textContent = "following";
  }

  function isAtTop() {
    return body.getBoundingClientRect().top > -40;
  }

  function stop() {
    if (source) source.close();
    source = null;
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Follow what arrives";
    say();
  }

  function start() {
    source = new EventSource(live.dataset.tail);
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Stop following";
    state.textContent = "connecting";
    source.addEventListener("open", say);
    source.addEventListener("row", (event) => {
      waiting.push(event.data);
      if (waiting.length > MOST) left += waiting.splice(0, waiting.length - MOST).length;
      if (isAtTop()) insert();
      else say();
    });
    source.addEventListener("lagged", (event) => {
      left += Number(event.data) || 0;
      say();
    });
    source.addEventListener("error", () => {
      if (source && source.readyState === EventSource.CLOSED) {
        stop();
        state.textContent = "the server refuses to be followed now: reload";
      } else if (source) state.textContent = "the connection is lost, trying again";
    });
  }

  if (live && body) {
    live.hidden = false;
    button.addEventListener("click", () => (source ? stop() : start()));
    addEventListener("scroll", () => waiting.length && isAtTop() && insert(), { passive: true });
    addEventListener("pagehide", stop);
  }
})();
