/* A conversation as a file of Markdown, made in the browser. */

import { make, worded } from "./elements.js";

/** Text as Markdown that shows just that. */
const literal = (text) => text.replace(/[\\`*_[\]<>&~|$#]/g, "\\$&");
const quoted = (text) => text.split(/\r?\n/).map((line) => `> ${literal(line)}`.trimEnd()).join("  \n");

function transcript(title, notice, turns) {
  const head = [`# ${literal(title)}`, literal(notice)];
  const said = turns.flatMap(({ question, answer, sources }) => [
    `**${worded("question")}**`, quoted(question), `**${worded("answer")}**`, quoted(answer),
    ...(sources ?? []).map(({ n, source, locator }) => `${n}. ${literal([source, locator].filter(Boolean).join(" · "))}`),
  ]);
  return [...head, ...said].join("\n\n") + "\n";
}

/** Save what was said as a file. */
export function save(title, notice, turns) {
  const address = URL.createObjectURL(new Blob([transcript(title, notice, turns)], { type: "text/markdown" }));
  Object.assign(make("a", ""), { href: address, download: `${worded("file")}.md` }).click();
  setTimeout(() => URL.revokeObjectURL(address));
}
