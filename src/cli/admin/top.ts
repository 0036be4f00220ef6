/** `top`: the busiest flows on the whole terminal, anew every interval. */
import type { TopQuestion } from "../../config/inspect.ts";
import type { Asked } from "./asked.ts";
import { UsageError } from "./failures.ts";
import { type Keyboard, Screen } from "./screen.ts";
import { TopView } from "./top-view.ts";

const MS_PER_SECOND = 1000;
/** The line that stands out: titles of the columns. */
const HEAD_LINE = 2;

export interface TopParts {
  /** Writes to the terminal at once. */
  readonly leave: (text: string) => void;
  /** Undefined = it is no terminal. */
  readonly keyboard: Keyboard | undefined;
  /** Calls back when the terminal has another size, or is ours again; returns what ends that. */
  readonly onResize: (listener: () => void) => () => void;
}

export async function showTop(question: TopQuestion, asked: Asked, parts: TopParts): Promise<void> {
  const { calls, flows, output } = asked;
  if (!output.isTerminal) {
    throw new UsageError("top is for a terminal; flows --watch --json is for programs");
  }
  const { network, filter, intervalSeconds, sort } = question;
  const { name, command, pid } = await calls.getInstance({}, { signal: asked.signal });
  const view = new TopView(`${name} (${command}, ${pid})`, sort);
  const ended = new AbortController();
  const signal = AbortSignal.any([asked.signal, ended.signal]);
  // A terminal that is stopped must not make the watch wait, nor screens pile up.
  let drawing: Promise<void> | undefined;
  let isStale = false;
  const draw = (): void => {
    isStale = drawing !== undefined;
    if (isStale) return;
    const lines = view.lines(output.columns() ?? 0, output.rows());
    drawing = screen.show(lines, HEAD_LINE).then(
      () => {
        drawing = undefined;
        if (isStale) draw();
      },
      () => ended.abort(),
    );
  };
  const screen = new Screen({
    output,
    keyboard: parts.keyboard,
    leave: parts.leave,
    onKey: (key) => {
      const what = view.key(key, output.rows());
      if (what === "end") ended.abort();
      else if (what === "show") draw();
    },
  });
  const forget = parts.onResize(draw);
  try {
    await screen.open();
    const request = { network, filter, intervalMs: intervalSeconds * MS_PER_SECOND };
    for await (const told of flows.watch(request, { signal })) {
      if (view.update(told)) draw();
    }
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  } finally {
    forget();
    screen.close();
  }
}
