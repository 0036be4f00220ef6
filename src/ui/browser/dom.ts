/** Elements made of text and attributes; nothing is ever made of markup. */

type Value = string | number | boolean | undefined | ((event: Event) => void);

/**
 * An element. A property that begins with "on" is a listener, `true` is an attribute without a
 * value, `false` and undefined are none.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Readonly<Record<string, Value>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  element.append(...children);
  return element;
}

/** Sets, changes or takes away an attribute; what is so already is left alone. */
export function setAttribute(
  element: Element,
  name: string,
  value: string | number | boolean | undefined,
): void {
  if (value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** The browser need not lay out anew what has not changed. */
export function setText(element: Node, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A panel's frame: a landmark with a heading, to which shortcuts jump. */
export function panel(id: string, title: string, ...extra: readonly Node[]): HTMLElement {
  const heading = h("h2", { id: `${id}-title`, tabindex: -1 }, title);
  const head = h("header", { class: "panel-head" }, heading, ...extra);
  return h("section", { id, class: "panel", "aria-labelledby": `${id}-title` }, head);
}

/**
 * Keeps the children of `place` in step with `items`: those that stay are updated, and only what
 * is new or gone is added or taken away.
 */
export function keep<T, E extends HTMLElement>(
  place: HTMLElement,
  items: readonly T[],
  key: (item: T) => string,
  make: (item: T) => E,
  update: (element: E, item: T) => void,
): void {
  const old = new Map<string, E>();
  for (const child of place.children) {
    const { key: name } = (child as E).dataset;
    if (name !== undefined) old.set(name, child as E);
  }
  let next = place.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let element = old.get(name);
    if (element === undefined) {
      element = make(item);
      element.dataset["key"] = name;
    }
    old.delete(name);
    update(element, item);
    if (element === next) next = next.nextElementSibling;
    else place.insertBefore(element, next);
  }
  for (const gone of old.values()) gone.remove();
}

/** Time of day of the instance's clock, as this machine's time zone has it. */
export function clockTime(time_us: number): string {
  const date = new Date(time_us / 1000);
  const part = (value: number): string => String(value).padStart(2, "0");
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(part).join(":");
}

/** A name for people of what is written in capitals or with low lines. */
export function words(name: string): string {
  return name.toLowerCase().replaceAll("_", " ");
}
