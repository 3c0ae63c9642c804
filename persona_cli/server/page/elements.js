/* Elements, interface texts and what the browser remembers. Text enters the page as text nodes, never as markup. */

import { WORDS } from "./words.js";

let language = recall("language");
if (!Object.hasOwn(WORDS, language)) language = navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";

export const find = (id) => document.getElementById(id);

/** A kept value; "" where there is none or storage is switched off. */
export function recall(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

export function remember(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {} // storage is switched off
}

export const spoken = () => language;
export const worded = (key, n = "") => WORDS[language][key].replace("{n}", () => n);

/** Fill an element (or the attributes it names) with an interface text, in a way that survives a change of language. */
export function say(element, key, n = "") {
  Object.assign(element.dataset, { say: key, n });
  const attributes = element.dataset.attribute?.split(" ");
  if (attributes) attributes.forEach((name) => element.setAttribute(name, worded(key, n)));
  else element.textContent = worded(key, n);
  return element;
}

export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  document.querySelectorAll("[data-say]").forEach((element) => say(element, element.dataset.say, element.dataset.n));
  say(find("language"), "language").lang = chosen === "ko" ? "en" : "ko";
}

export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children); // a string becomes a text node
  return element;
}

export const label = (className, key, n) => say(make("span", className), key, n);

export function button(className, key, act) {
  const element = say(make("button", className), key);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

/** A link to another site that learns nothing from it, or the plain text where the address is not one of the web. */
export function link(address, text) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") return document.createTextNode(text);
  return Object.assign(make("a", "", text), {
    href: url.href,
    target: "_blank",
    rel: "noopener noreferrer nofollow",
  });
}

/** Bring an item into view; of one taller than the window, its top. */
export const follow = (item) => item.scrollIntoView({ block: "nearest" });
