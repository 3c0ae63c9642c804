/* Marks parts of what is shown: the words that an answer has from a source, and what no source bears out. */

import { make } from "./elements.js";

const WORD = /[\p{L}\p{N}]+/gu;
const HANGUL = /^\p{Script=Hangul}+$/u;

/** A source's text with the words that the answer has from it in <mark>, as nodes. */
export function marked(text, answer) {
  const said = new Set([...answer.matchAll(WORD)].flatMap(([word]) => forms(word)));
  const nodes = [];
  let end = 0;
  for (const [from, to] of runs(text, said)) {
    nodes.push(text.slice(end, from), make("mark", "", text.slice(from, to)));
    end = to;
  }
  return [...nodes, text.slice(end)];
}

/** A word as it is compared: Korean also without the particle that may be at its end. */
function forms(word) {
  const low = word.toLowerCase();
  if (!HANGUL.test(low) || low.length < 3) return [low];
  return [low, low.slice(0, -1), ...(low.length > 3 ? [low.slice(0, -2)] : [])];
}

/** Where words of the answer stand in a row, or one that tells something by itself: [from, to] each. */
function* runs(text, said) {
  let run = null; // { from, to, tells }
  const ends = () => run?.tells && [run.from, run.to];
  for (const match of text.matchAll(WORD)) {
    const [word] = match;
    if (forms(word).some((form) => said.has(form))) {
      const tells = word.length > (HANGUL.test(word) ? 1 : 4) || /\d/.test(word) || run !== null;
      run = { from: run?.from ?? match.index, to: match.index + word.length, tells };
    } else {
      if (ends()) yield ends();
      run = null;
    }
  }
  if (ends()) yield ends();
}

/** Put what is in these spans of text into elements of a class, wherever it stands below an element. */
export function underline(root, spans, className) {
  for (const span of spans) {
    const { letters, places } = lettersOf(root);
    const wanted = bare(span);
    const at = wanted ? letters.indexOf(wanted) : -1;
    if (at < 0) continue;
    const inside = Map.groupBy(places.slice(at, at + wanted.length), (place) => place.node);
    for (const [node, hit] of inside) {
      const range = document.createRange();
      range.setStart(node, hit[0].offset);
      range.setEnd(node, hit.at(-1).offset + 1);
      range.surroundContents(make("span", className));
    }
  }
}

const bare = (text) => text.replace(/[\s*`]/g, "");

/** The text below an element without white space and marks of Markdown, and where each letter of it stands. */
function lettersOf(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const places = [];
  let letters = "";
  while (walker.nextNode()) {
    const { data } = walker.currentNode;
    for (let offset = 0; offset < data.length; offset++) {
      if (!bare(data[offset])) continue;
      letters += data[offset];
      places.push({ node: walker.currentNode, offset });
    }
  }
  return { letters, places };
}
