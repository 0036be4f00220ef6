/**
 * Questions to a name server by HTTPS. They are sent with the number 0, so that they can be cached
 * on their way. Source: RFC 8484 §4.1.
 */
import { joined } from "../../upstream/messages.ts";
import { isAnswer } from "../dns-message.ts";
import type { Host } from "../host.ts";

const TYPE = "application/dns-message";
const ANSWER_MAX = 0xffff;
const TIMEOUT_US = 5_000_000;

/**
 * Rejects where there is no answer in time.
 * @param pending has what gives it up while it is under way (a signal for all of them would have
 *   a listener for each, of which Node warns)
 */
export async function askByHttps(
  url: string,
  question: Uint8Array,
  host: Host,
  pending: Set<AbortController>,
): Promise<Uint8Array> {
  const aborter = new AbortController();
  const stop = host.after(TIMEOUT_US, () => aborter.abort());
  pending.add(aborter);
  try {
    const body = new Uint8Array(question);
    body.fill(0, 0, 2);
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": TYPE, accept: TYPE },
      body,
      signal: aborter.signal,
    });
    const type = response.headers.get("content-type") ?? "";
    if (!response.ok || !type.startsWith(TYPE)) {
      aborter.abort();
      throw new Error(`the name server answers ${response.status} "${type}"`);
    }
    const answer = await bodyOf(response);
    if (!isAnswer(answer, body)) throw new Error("the name server answers something else");
    answer.set(question.subarray(0, 2));
    return answer;
  } finally {
    stop();
    pending.delete(aborter);
  }
}

/** The body, of as much as a message may have. */
async function bodyOf(response: Response): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const part = await reader?.read();
    if (part === undefined || part.done) return joined(chunks);
    size += part.value.length;
    if (size > ANSWER_MAX) {
      await reader?.cancel();
      throw new Error("the name server's answer is too long");
    }
    chunks.push(part.value);
  }
}
