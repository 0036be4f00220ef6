/** Findings as text for people, or a JSON object in each line. */
import type { Finding } from "./finding.ts";

const LABEL_WIDTH = 9;

/** Ends with a line end. */
export function reportText(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ severity, what, why, mend }) => [
    `${severity.padEnd(LABEL_WIDTH)}${what}`,
    ...(why === undefined ? [] : [`${" ".repeat(LABEL_WIDTH)}why:  ${why}`]),
    ...(mend === undefined ? [] : [`${" ".repeat(LABEL_WIDTH)}mend: ${mend}`]),
  ]);
  return `${[...lines, summary(findings)].join("\n")}\n`;
}

export function reportJson(findings: readonly Finding[]): string {
  return findings.map((finding) => `${JSON.stringify(finding)}\n`).join("");
}

/** Something will not work. */
export function hasProblems(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === "warning" || severity === "error");
}

function summary(findings: readonly Finding[]): string {
  const count = (wanted: Finding["severity"]): number =>
    findings.filter(({ severity }) => severity === wanted).length;
  const [errors, warnings] = [count("error"), count("warning")];
  if (errors + warnings === 0) return "all is well";
  return `errors: ${errors}, warnings: ${warnings}`;
}
