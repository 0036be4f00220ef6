/**
 * The live page: one HTML file that needs nothing else. All it shows it asks of its own server.
 *
 * There is nothing of the guest's in it: script and style come with the program, the rest is made
 * by the script from text (`textContent`), never from markup.
 */
import { createHash } from "node:crypto";

export interface PageParts {
  readonly script: string;
  readonly style: string;
}

export interface Page {
  readonly html: string;
  /** Content-Security-Policy. */
  readonly policy: string;
}

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath " +
  "d='M2 8h4l2-5 2 10 2-5h2' fill='none' stroke='%230a7' stroke-width='2'/%3E%3C/svg%3E";

/** Pure: the same parts, the same octets. */
export function renderPage({ script, style }: PageParts): Page {
  const policy = [
    "default-src 'none'",
    `script-src '${digest(script)}'`,
    `style-src '${digest(style)}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="${ICON}">
<title>slirp-binding</title>
<style>${style}</style>
</head>
<body>
<noscript><p class="notice">The live page needs JavaScript.</p></noscript>
<script>${script}</script>
</body>
</html>
`;
  return { html, policy };
}

function digest(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
