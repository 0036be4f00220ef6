/** The admin service as an answer to HTTP of either version: Connect, gRPC and gRPC-Web. */
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { AdminProgram } from "./program.ts";
import { addAdminService } from "./service.ts";
import type { AdminHandler } from "./socket.ts";

/** Octets of a message to us: the longest is a filter. */
const MESSAGE_SIZE_MAX = 64 * 1024;

export function adminHandler(program: AdminProgram): AdminHandler {
  return connectNodeAdapter({
    routes: (router) => addAdminService(router, program),
    readMaxBytes: MESSAGE_SIZE_MAX,
  });
}
