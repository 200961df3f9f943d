"use strict";
const now = document.getElementById("now");
const told = document.getElementById("told");

function say(text) {
  if (told.textContent !== text) told.textContent = text;
}

// Parts that have not changed stay as they are, so that a selection in them stays too.
function show(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const parts = [...now.querySelectorAll("[data-part]")];
  const others = [...fresh.content.querySelectorAll("[data-part]")];
  const focused = document.activeElement?.id;
  const ids = (elements) => elements.map((element) => element.id).join();
  if (ids(parts) === ids(others)) {
    others.forEach((other, index) => {
      if (other.outerHTML !== parts[index].outerHTML) parts[index].replaceWith(other);
    });
  } else {
    now.replaceChildren(fresh.content);
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
}

const events = new EventSource(told.dataset.events);
events.onmessage = (event) => {
  const news = JSON.parse(event.data);
  if ("problem" in news) {
    say(`The storage does not answer: ${news.problem}`);
    return;
  }
  show(news.html);
  say("Live.");
};
events.onerror = () => {
  const closed = events.readyState === EventSource.CLOSED;
  say(closed ? "No longer live: load the page again." : "The head does not answer; asking again.");
};
