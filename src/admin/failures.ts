/** Errors of calls as plain sentences: what a client of the service is told, and how bad it is. */
import { Code, ConnectError } from "@connectrpc/connect";

/** What kind of failure: the request cannot be meant, it was refused, nobody is there any more. */
export type FailureKind = "usage" | "refused" | "gone";

export interface Failure {
  readonly kind: FailureKind;
  /** A sentence without its period. */
  readonly message: string;
}

const ENDED = "it has ended";
/** What errors of a connection say, by the codes of the system and of the runtimes. */
const CONNECTION: Readonly<Record<string, Failure>> = {
  ENOENT: { kind: "gone", message: "there is no such socket" },
  ENOTSOCK: { kind: "gone", message: "that is no socket" },
  ECONNREFUSED: { kind: "gone", message: "nobody listens there: its program was killed" },
  ECONNRESET: { kind: "gone", message: ENDED },
  EPIPE: { kind: "gone", message: ENDED },
  ERR_STREAM_PREMATURE_CLOSE: { kind: "gone", message: ENDED },
  ERR_HTTP2_SESSION_ERROR: { kind: "gone", message: ENDED },
  ERR_HTTP2_STREAM_CANCEL: { kind: "gone", message: ENDED },
  ERR_HTTP2_INVALID_SESSION: { kind: "gone", message: ENDED },
  EACCES: { kind: "refused", message: "its socket is another user's" },
  EPERM: { kind: "refused", message: "its socket is another user's" },
};

/** What a call's error tells; undefined for an error of another origin. */
export function failureOf(error: unknown): Failure | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  const cause = systemCode(error);
  const known = cause === undefined ? undefined : CONNECTION[cause];
  if (known !== undefined) return known;
  const { rawMessage: message, code } = error;
  switch (code) {
    case Code.InvalidArgument:
      return { kind: "usage", message };
    case Code.Unimplemented:
      return { kind: "refused", message: "it is of a version that cannot do this" };
    // Of one who has not given up the call himself: he knows that before he asks here.
    case Code.Canceled:
    case Code.Aborted:
      return { kind: "gone", message: ENDED };
    default:
      return { kind: "refused", message };
  }
}

/** Code of the error of the system behind it, as far down as it is. */
function systemCode(error: Error): string | undefined {
  for (let each: unknown = error.cause, depth = 0; each instanceof Error && depth < 5; depth += 1) {
    if ("code" in each && typeof each.code === "string") return each.code;
    each = each.cause;
  }
  return undefined;
}
