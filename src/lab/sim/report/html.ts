/** Text in HTML. */

/** For text and for attributes in double or single quotes. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" },
  };
  return text.replace(/[&<>"']/g, (letter) => entities[letter] ?? letter);
}
