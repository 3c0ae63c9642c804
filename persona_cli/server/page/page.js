/* The chat page. Whatever comes from the server or the reader enters the page as text, never as markup. */

const WORDS = {
  en: {
    notice: "A model made from a person’s recorded words, not the person.",
    welcome: "What would you like to ask?",
    promise: "Answers come from what was really said, with the source beside them. What was never said stays unsaid.",
    log: "Conversation", you: "You asked", sources: "Sources · {n}",
    prompt: "Ask a question",
    keys: "Enter to send, Shift+Enter for a new line",
    send: "Send", stop: "Stop", again: "Ask again", language: "한국어",
    waiting: "Looking through the recorded words",
    generated: "Put together from recorded words",
    quoted: "In the recorded words",
    refused: "Not on record",
    stopped: "Stopped.",
    unreachable: "The server could not be reached.",
    broken: "The server answered with an error ({n}).",
  },
  ko: {
    notice: "본인이 아니라, 기록된 말로 만든 모델이에요.",
    welcome: "무엇이 궁금하세요?",
    promise: "실제로 했던 말에서 찾아 출처와 함께 답해 드려요. 한 적 없는 말은 지어내지 않아요.",
    log: "대화", you: "내 질문", sources: "출처 {n}개",
    prompt: "질문을 적어 주세요",
    keys: "Enter로 보내고 Shift+Enter로 줄을 바꿔요",
    send: "보내기", stop: "멈추기", again: "다시 물어보기", language: "EN",
    waiting: "기록을 찾아보는 중",
    generated: "기록을 바탕으로 쓴 답",
    quoted: "기록된 말 그대로",
    refused: "기록에 없는 이야기",
    stopped: "멈췄어요.",
    unreachable: "서버에 연결하지 못했어요.",
    broken: "서버에서 오류가 났어요({n}).",
  },
};

const MODES = ["generated", "quoted", "refused"];
const find = (id) => document.getElementById(id);
const log = find("log"), form = find("ask"), prompt = find("prompt"), send = find("send"), stop = find("stop");
let language = remembered() ?? (navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en");
let waiting = null; // AbortController of the question under way
let session = "new"; // id of this conversation, once the server has given it one

function remembered() {
  try {
    const kept = localStorage.getItem("language");
    return Object.hasOwn(WORDS, kept) ? kept : null;
  } catch {
    return null; // storage is switched off
  }
}

/** Fill an element (or the attributes it names) with an interface text, in a way that survives a change of language. */
function say(element, key, n = "") {
  Object.assign(element.dataset, { say: key, n });
  const text = WORDS[language][key].replace("{n}", n);
  const attributes = element.dataset.attribute?.split(" ");
  if (attributes) attributes.forEach((name) => element.setAttribute(name, text));
  else element.textContent = text;
  return element;
}

function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  document.querySelectorAll("[data-say]").forEach((element) => say(element, element.dataset.say, element.dataset.n));
  say(find("language"), "language").lang = chosen === "ko" ? "en" : "ko";
}

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children); // a string becomes a text node
  return element;
}

const label = (className, key, n) => say(make("span", className), key, n);

/** Show what the server says of whose words these are, in place of the page's own line. */
function disclose(text) {
  const notice = find("notice");
  delete notice.dataset.say;
  notice.textContent = text;
}

function addQuestion(text) {
  find("welcome").hidden = true;
  log.append(make("div", "question", label("unseen", "you"), make("p", "words", text)));
}

function addWaiting() {
  const dots = make("p", "dots", "…");
  dots.setAttribute("aria-hidden", "true");
  const item = make("div", "waiting", dots, label("unseen", "waiting"));
  log.append(item);
  return item;
}

function addAnswer(answer) {
  const mode = MODES.includes(answer.mode) ? answer.mode : "generated";
  const item = make("div", `answer ${mode}`, label("mode", mode), make("p", "words", answer.output));
  if (answer.sources?.length) item.append(sourcesOf(answer.sources));
  log.append(item);
}

function sourcesOf(sources) {
  const list = make("ol", "passages", ...sources.map(passage));
  const details = make("details", "sources", say(make("summary", ""), "sources", sources.length), list);
  details.addEventListener("toggle", () => details.open && follow(details));
  return details;
}

function passage({ n, source, locator, speaker, date, text }) {
  const details = [locator, speaker, date].filter(Boolean).join(" · ");
  const place = make("p", "place", make("span", "number", String(n)), make("cite", "", source ?? ""), " ", details);
  return make("li", "", place, make("blockquote", "words", text ?? ""));
}

function addFailure(words, question) {
  const again = say(make("button", "again"), "again");
  const item = make("div", "failure", words, again);
  again.addEventListener("click", () => {
    if (waiting) return;
    item.remove();
    reply(question);
  });
  log.append(item);
}

/** Ask the server. Resolves to the answer; rejects with an Error whose `words` is the node to show. */
async function ask(question, signal) {
  const response = await fetch("/chat/", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ prompt: question, session_id: session }),
    signal,
  });
  const body = await response.json().catch(() => null);
  signal.throwIfAborted();
  if (response.ok && typeof body?.output === "string") {
    session = body.session_id ?? "new";
    if (body.disclosure) disclose(body.disclosure);
    return body;
  }
  if (response.status === 404) session = "new"; // it was deleted meanwhile
  const message = body?.error?.message;
  const words = message ? make("span", "", message) : label("", "broken", response.status);
  throw Object.assign(new Error(message), { words });
}

async function reply(question) {
  waiting = new AbortController();
  const dots = addWaiting();
  busy(true);
  follow(dots);
  try {
    addAnswer(await ask(question, waiting.signal));
  } catch (error) {
    addFailure(error.words ?? label("", waiting.signal.aborted ? "stopped" : "unreachable"), question);
  }
  dots.remove();
  waiting = null;
  busy(false);
  follow(log.lastElementChild);
}

function busy(yes) {
  const idle = [document.body, send, stop].includes(document.activeElement);
  if (idle && !matchMedia("(pointer: coarse)").matches) prompt.focus(); // on a phone it would raise the keyboard
  send.hidden = yes;
  stop.hidden = !yes;
}

/** Bring an item into view; of one taller than the window, its top. */
const follow = (item) => item.scrollIntoView({ block: "nearest" });

function fit() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = prompt.value.trim();
  if (!question || waiting) return;
  prompt.value = "";
  fit();
  addQuestion(question);
  reply(question);
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

find("language").addEventListener("click", () => {
  speak(language === "ko" ? "en" : "ko");
  try {
    localStorage.setItem("language", language);
  } catch {} // storage is switched off
});

speak(language);
