// Fetches the part of a page that changes while a search goes on, every few seconds.
"use strict";

const WAIT = 3000;

async function look() {
  const old = document.getElementById("live");
  const address = old && old.dataset.live;
  if (!address) return; // nothing goes on any more
  if (!document.hidden && !old.contains(document.activeElement)) {
    try {
      const answer = await fetch(address, { redirect: "error" });
      if (answer.ok) {
        const read = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = read.getElementById("live");
        if (fresh && fresh.outerHTML !== old.outerHTML) old.replaceWith(document.adoptNode(fresh));
      }
    } catch {
      // the server is gone or busy; the next look may find it
    }
  }
  setTimeout(look, WAIT);
}

setTimeout(look, WAIT);
