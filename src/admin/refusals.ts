/** Refusals of the admin service: errors of requests to workers as Connect has them. */
import { Code, ConnectError } from "@connectrpc/connect";
import { RequestError, type RequestErrorCode } from "../binding/requests.ts";
import { ConfigError } from "../config/errors.ts";
import { messageOf } from "../lib/message.ts";

const CODES: Readonly<Record<RequestErrorCode, Code>> = {
  "invalid-argument": Code.InvalidArgument,
  "not-found": Code.NotFound,
  "already-exists": Code.AlreadyExists,
  "failed-precondition": Code.FailedPrecondition,
  "resource-exhausted": Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  internal: Code.Internal,
};

/** What a caller is told of an error. */
export function refusalOf(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof RequestError) return new ConnectError(error.message, CODES[error.code]);
  if (error instanceof ConfigError) return new ConnectError(error.message, Code.InvalidArgument);
  return new ConnectError(messageOf(error), Code.Internal);
}

/** A request that cannot be meant. */
export function invalid(message: string): ConnectError {
  return new ConnectError(message, Code.InvalidArgument);
}
