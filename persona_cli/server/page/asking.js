/* The server: what it tells, and its answers as they come. */

/** What went wrong: the server's own message, or the key of an interface text with a number for it. */
export class Failure extends Error {
  constructor({ message = "", key = "unreachable", n = "", code = null }) {
    super(message);
    Object.assign(this, { key, n, code });
  }
}

async function refusal(response) {
  const body = await response.json().catch(() => null);
  return new Failure({ ...body?.error, key: "broken", n: String(response.status) });
}

export async function get(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Ask a question. Hands on each piece of the answer; resolves to the last event, which tells how it came about. */
export async function ask(question, signal, onPiece) {
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify({ ...question, stream: true }),
    signal,
  });
  if (!response.ok) throw await refusal(response);
  let last = null;
  for await (const event of events(response.body)) {
    if (event.error) throw new Failure({ ...event.error, key: "cut" });
    const [choice] = event.choices;
    if (choice?.delta.content) onPiece(choice.delta.content);
    if (choice?.finish_reason) last = event;
  }
  if (!last) throw new Failure({ key: "cut" });
  return last;
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const whole = (rest + part.value).split("\n\n");
    rest = whole.pop();
    for (const event of whole) {
      if (event.startsWith("data: {")) yield JSON.parse(event.slice("data: ".length)); // else a comment, or the end
    }
  }
}
