/* The chat page. Whatever comes from the server or the reader enters the page as text, never as markup. */

import { answerOf } from "./answers.js";
import { Failure, ask, get } from "./asking.js";
import { button, find, follow, label, link, make, recall, remember, say, speak, spoken } from "./elements.js";
import { render } from "./markdown.js";
import { save } from "./saving.js";

const EARLIER = 20; // messages sent along, for servers that keep no session
const log = find("log"), form = find("ask"), prompt = find("prompt"), send = find("send"), stop = find("stop");
const picker = find("persona"), notice = find("notice");
let waiting = null; // AbortController of the question under way
let model = ""; // id of the persona that is talked with; empty while the server has none
let about = null; // what the server tells of it
let turns = []; // what was said: { question, answer, sources }

const kept = () => `session:${model}`;
const named = (path, id = model) => (id ? `${path}?model=${encodeURIComponent(id)}` : path);

/* Showing what was said */

function addQuestion(text) {
  find("welcome").hidden = true;
  find("fresh").hidden = find("save").hidden = false;
  log.append(make("div", "question", label("unseen", "you"), make("p", "words", text)));
}

function addWaiting() {
  const dots = make("p", "dots", "…");
  dots.setAttribute("aria-hidden", "true");
  const item = make("div", "waiting", dots, label("unseen", "waiting"));
  log.append(item);
  return item;
}

/** Shows an answer as it comes; unheard, since the whole of it is read out when it is there. */
function addDraft(dots) {
  const words = make("div", "words");
  const item = make("div", "answer draft", words);
  item.setAttribute("aria-live", "off");
  let text = "", due = 0;
  const show = () => {
    due = 0;
    words.replaceChildren(...render(text));
    if (isAtEnd) scrollTo(0, document.documentElement.scrollHeight);
  };
  return {
    item,
    text: () => text,
    add(piece) {
      if (!text) dots.replaceWith(item);
      text += piece;
      due ||= requestAnimationFrame(show);
    },
  };
}

function addFailure(words, question) {
  const item = make("div", "failure", words);
  item.append(
    button("again", "again", () => {
      if (waiting) return;
      item.remove();
      reply(question);
    }),
  );
  log.append(item);
}

/* Asking */

function earlier() {
  const messages = turns.flatMap(({ question, answer }) => [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ]);
  return messages.filter(({ content }) => content).slice(-EARLIER);
}

async function reply(question) {
  const control = (waiting = new AbortController());
  const dots = addWaiting(), draft = addDraft(dots);
  busy(true);
  follow(dots);
  try {
    if (!model) await meet(); // nothing may have been ingested when the page was opened
    const messages = [...earlier(), { role: "user", content: question }];
    const asked = { model, messages, session_id: recall(kept()) || "new" };
    const answer = await ask(asked, control.signal, (piece) => draft.add(piece));
    control.signal.throwIfAborted();
    draft.item.remove();
    remember(kept(), answer.session_id);
    turns.push({ question, answer: draft.text(), sources: answer.sources });
    log.append(answerOf(draft.text(), answer));
    if (answer.disclosure) disclose(answer.disclosure);
  } catch (error) {
    draft.item.classList.replace("draft", "broken");
    if (waiting === control) fail(error, control, question, draft.text());
  }
  dots.remove();
  if (waiting !== control) return; // the page has gone on to something else
  waiting = null;
  busy(false);
  if (log.lastElementChild) follow(log.lastElementChild);
}

function fail(error, control, question, begun) {
  if (error.code === "session_unknown") remember(kept(), ""); // it was deleted meanwhile
  if (begun) turns.push({ question, answer: `${begun}…`, sources: [] });
  const { key, n, message } = error instanceof Failure ? error : new Failure({});
  const words = control.signal.aborted ? label("", "stopped") : message ? make("span", "", message) : label("", key, n);
  addFailure(words, question);
}

function busy(yes) {
  const idle = [document.body, send, stop].includes(document.activeElement);
  if (idle && !matchMedia("(pointer: coarse)").matches) prompt.focus(); // on a phone it would raise the keyboard
  send.hidden = yes;
  stop.hidden = !yes;
}

function put(question) {
  if (!question || waiting) return;
  addQuestion(question);
  reply(question);
}

/* Personas and their sessions */

/** Learn who can be asked, and who answers. Raises: Failure. */
async function meet() {
  const ids = (await get("/v1/models")).data.map(({ id }) => id);
  picker.replaceChildren(...ids.map((id) => new Option(id, id)));
  model = ids.includes(recall("persona")) ? recall("persona") : (ids[0] ?? "");
  picker.value = model;
  if (ids.length > 1) await Promise.all([...picker.options].map(rename));
  await introduce();
  picker.hidden = ids.length < 2;
  find("name").hidden = !picker.hidden;
}

/** Call a persona by its name, where the server knows it. */
async function rename(option) {
  const { name } = await get(named("/persona", option.value)).catch(() => ({}));
  if (name) option.textContent = name;
}

async function introduce() {
  const asked = model;
  about = null;
  const told = await get(named("/persona"));
  if (asked !== model) return;
  about = told;
  const { name, language, greeting, questions, links } = about;
  find("name").textContent = document.title = name || "persona";
  say(document.querySelector("h1"), name ? "welcomeTo" : "welcome", name);
  Object.assign(find("greeting"), { textContent: greeting, hidden: !greeting, lang: language });
  list("questions", questions.map((text) => suggested(text)));
  list("links", links.map(({ title, url }) => link(url, title)));
  disclose(about.disclosure[spoken()]);
}

function suggested(text) {
  const element = make("button", "suggested", text);
  element.type = "button";
  element.addEventListener("click", () => {
    prompt.focus({ preventScroll: true }); // the button goes away
    put(text);
  });
  return element;
}

function list(id, nodes) {
  find(id).replaceChildren(...nodes.map((node) => make("li", "", node)));
  find(id).hidden = !nodes.length;
}

/** Show what the server says of whose words these are, in place of the page's own line. */
function disclose(text) {
  delete notice.dataset.say;
  notice.textContent = text;
}

/** Show again what was said in this browser's session, if the server still has it. */
async function resume() {
  const id = recall(kept()), asked = model;
  if (!id) return;
  let session;
  try {
    session = await get(named(`/sessions/${encodeURIComponent(id)}`));
  } catch (error) {
    if (error.n === "404") remember(kept(), "");
    return;
  }
  if (asked !== model || turns.length || waiting) return;
  log.setAttribute("aria-live", "off"); // it has been read
  for (const { question, answer, state, mode, sources } of session.turns) {
    addQuestion(question);
    const text = state === "done" || !answer ? answer : `${answer}…`;
    turns.push({ question, answer: text, sources });
    if (text) log.append(answerOf(text, { mode, sources }));
    if (state !== "done") log.append(make("div", "failure", label("", state === "erased" ? "erased" : "stopped")));
  }
  requestAnimationFrame(() => log.setAttribute("aria-live", "polite"));
  if (log.lastElementChild) follow(log.lastElementChild);
}

function clear() {
  waiting?.abort();
  waiting = null;
  turns = [];
  log.replaceChildren();
  find("welcome").hidden = false;
  find("fresh").hidden = find("save").hidden = true;
  busy(false);
}

/* The window */

let isAtEnd = true; // whether the reader watches the end, where an answer grows

function fit() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

addEventListener("scroll", () => {
  const page = document.documentElement;
  isAtEnd = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
}, { passive: true });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = prompt.value.trim();
  if (!question || waiting) return;
  prompt.value = "";
  fit();
  put(question);
});

prompt.addEventListener("input", fit);
prompt.addEventListener("keydown", (event) => {
  const composing = event.isComposing || event.keyCode === 229; // Safari ends the composition before this event
  if (event.key !== "Enter" || event.shiftKey || composing) return;
  event.preventDefault();
  form.requestSubmit();
});

stop.addEventListener("click", () => waiting?.abort());
document.addEventListener("keydown", (event) => event.key === "Escape" && waiting?.abort());
find("save").addEventListener("click", () => save(document.title, notice.textContent, turns));
find("fresh").addEventListener("click", () => {
  remember(kept(), "");
  clear();
  prompt.focus();
});

picker.addEventListener("change", async () => {
  clear();
  model = picker.value;
  remember("persona", model);
  await introduce().catch(() => {}); // whoever asks will be told
  await resume();
});

find("language").addEventListener("click", () => {
  speak(spoken() === "ko" ? "en" : "ko");
  remember("language", spoken());
  if (about) disclose(about.disclosure[spoken()]);
});

speak(spoken());
meet().then(resume).catch(() => {}); // whoever asks will be told
