/* The little of Markdown that answers use, as elements; all else stays the text it is. */

import { link, make } from "./elements.js";

const ITEM = /^\s{0,8}(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const INLINE =
  /`([^`\n]+)`|\*\*(?!\s)([^*\n]+)(?<!\s)\*\*|\*(?!\s)([^*\n]+)(?<!\s)\*|(?<!!)\[([^[\]\n]+)\]\((https?:\/\/[^\s()]+)\)|(?<!\S)(https?:\/\/[^\s<>"]+)/g;

/** The nodes of a text: paragraphs and lists. */
export function render(text) {
  const blocks = [];
  let open = null; // { element, kind } of the block that the next line may go on with
  for (const line of text.split(/\r?\n/)) {
    const item = ITEM.exec(line);
    const kind = item ? (item[1] ? "ol" : "ul") : "p";
    if (!line.trim()) {
      if (open?.kind === "p") open = null;
      continue;
    }
    if (open?.kind !== kind) {
      open = { kind, element: make(kind, "") };
      if (item?.[1]) open.element.start = Number(item[1]);
      blocks.push(open.element);
    } else if (!item) open.element.append("\n");
    open.element.append(...(item ? [make("li", "", ...inline(item[2]))] : inline(line)));
  }
  return blocks;
}

function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, bold, italic, title, address, bare] = match;
    nodes.push(text.slice(end, match.index));
    end = match.index + whole.length;
    if (code) nodes.push(make("code", "", code));
    else if (bold) nodes.push(make("strong", "", ...inline(bold)));
    else if (italic) nodes.push(make("em", "", ...inline(italic)));
    else nodes.push(link(address ?? bare, title ?? bare));
  }
  return [...nodes, text.slice(end)];
}
