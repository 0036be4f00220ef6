/** The admin service of a running program, for whoever asks it. */
import { connect } from "node:net";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type FlowCalls, flowCalls } from "./flow-calls.ts";
import { AdminService } from "./gen/slirp_binding/admin/v1/admin_pb.js";

/** Means nothing on a unix socket. */
const AUTHORITY = "http://localhost";

export type AdminCalls = Client<typeof AdminService>;

export interface AdminClient {
  readonly calls: AdminCalls;
  /** Those of `calls` whose answers are long, taken apart faster. */
  readonly flows: FlowCalls;
  /** Ends all calls. */
  close(): void;
}

/** @param path of the program's socket; it is connected to with the first call */
export function adminClient(path: string): AdminClient {
  const createConnection = () => connect(path);
  const sessionManager = new Http2SessionManager(AUTHORITY, undefined, { createConnection });
  const transport = createGrpcTransport({ baseUrl: AUTHORITY, sessionManager });
  return {
    calls: createClient(AdminService, transport),
    flows: flowCalls(transport),
    close: () => sessionManager.abort(),
  };
}
