/* An answer: its words, where they are from, and what else there is to know about it. */

import { button, follow, label, make, say } from "./elements.js";
import { render } from "./markdown.js";
import { marked, underline } from "./marking.js";

const MODES = ["generated", "quoted", "refused"];
const COPIED_MS = 2000;

/** The answer's words; what was recorded is shown letter by letter. */
function wordsOf(text, mode) {
  return make("div", "words", ...(mode === "generated" ? render(text) : [make("p", "", text)]));
}

/** An answer as it is shown, with its sources to open and what else is known about it. */
export function answerOf(text, { mode, sources, unsupported, disclosure, notice: told }) {
  const known = MODES.includes(mode) ? mode : "generated";
  const words = wordsOf(text, known);
  const item = make("div", `answer ${known}`, label("mode", known), words);
  if (disclosure) item.prepend(make("p", "disclosure", disclosure));
  if (unsupported?.length) {
    underline(words, unsupported, "unborne");
    item.append(say(make("p", "remark"), "unborne"));
  }
  if (told) item.append(make("p", "remark", told));
  if (sources?.length) item.append(sourcesOf(sources, text));
  item.append(copying(text));
  return item;
}

function copying(text) {
  const copy = button("quiet", "copy", async () => {
    const key = await navigator.clipboard?.writeText(text).then(() => "copied", () => "copyFailed");
    say(copy, key ?? "copyFailed"); // there is no clipboard for pages without a certificate
    setTimeout(() => say(copy, "copy"), COPIED_MS);
  });
  copy.setAttribute("aria-live", "polite");
  return copy;
}

function sourcesOf(sources, answer) {
  const list = make("ol", "passages", ...sources.map((source) => passage(source, answer)));
  const details = make("details", "sources", say(make("summary", ""), "sources", sources.length), list);
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    for (const quote of details.querySelectorAll("blockquote")) {
      if (quote.scrollHeight > quote.clientHeight) quote.tabIndex = 0; // so that keys can scroll it
    }
    follow(details);
  });
  return details;
}

function passage({ n, source, locator, speaker, date, text }, answer) {
  const details = [locator, speaker, date].filter(Boolean).join(" · ");
  const place = make("p", "place", make("span", "number", String(n)), make("cite", "", source ?? ""), " ", details);
  return make("li", "", place, make("blockquote", "words", ...marked(text ?? "", answer)));
}
