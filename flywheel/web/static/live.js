"use strict";
// Renews the live parts of a page when the daemon did something. Without it, pages are as they were when loaded.
(() => {
  const light = document.getElementById("live");
  if (!window.EventSource || !document.querySelector("[data-live]")) return;

  let wanted = false, busy = false;

  async function renew() {
    if (busy || document.hidden) { wanted = true; return; }
    busy = true; wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.ok && !answer.redirected) replace(await answer.text());
    } catch { wanted = true; } finally { busy = false; }
  }

  // What had the focus is found again by its name, or by where it leads and which of these it was.
  function mark(part) {
    const one = document.activeElement;
    if (!part.contains(one)) return null;
    const alike = [...part.querySelectorAll(one.tagName)].filter(other => other.getAttribute("href") === one.getAttribute("href"));
    return { id: one.id, tag: one.tagName, href: one.getAttribute("href"), place: alike.indexOf(one) };
  }

  function refocus(part, was) {
    if (!was) return;
    const alike = [...part.querySelectorAll(was.tag)].filter(other => other.getAttribute("href") === was.href);
    const one = (was.id && document.getElementById(was.id)) || alike[was.place] || alike[0];
    if (one) one.focus({ preventScroll: true });
  }

  function replace(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const old of document.querySelectorAll("[data-live][id]")) {
      const now = fresh.getElementById(old.id);
      if (!now) continue;
      for (const open of old.querySelectorAll("details[id][open]")) fresh.getElementById(open.id)?.setAttribute("open", "");
      // What a person is in the middle of stays as it is.
      const busyHere = old.contains(document.activeElement) && old.querySelector("form");
      if (busyHere || now.isEqualNode(old)) continue;
      const sides = [...old.querySelectorAll(".wide")].map(one => one.scrollLeft), was = mark(old);
      old.replaceWith(document.importNode(now, true));
      const put = document.getElementById(now.id);
      [...put.querySelectorAll(".wide")].forEach((one, place) => { one.scrollLeft = sides[place] || 0; });
      refocus(put, was);
    }
  }

  let timer = 0;
  function soon() { if (!timer) timer = setTimeout(() => { timer = 0; renew(); }, 400); }

  let stream = null, last = document.body.dataset.seq || "0";

  function say(words) {
    light.hidden = false;
    if (light.textContent !== words) light.textContent = words;
  }

  function listen() {
    if (stream) return;
    stream = new EventSource("/events?after=" + encodeURIComponent(last));
    stream.onopen = () => say("Live");
    stream.onerror = () => say("Not live: the dashboard does not answer");
    stream.onmessage = news => { last = news.lastEventId || last; soon(); };
    stream.addEventListener("progress", soon);
  }

  function rest() { if (stream) stream.close(); stream = null; }

  // A browser opens six connections to one place: a page that nobody looks at gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return rest();
    listen();
    renew();
  });
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", shown => { if (shown.persisted) { listen(); renew(); } });
  listen();
})();
