/** The admin service of a running program, for whoever asks it. */
import { connect } from "node:net";
import { type Client, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { type FlowCalls, flowCalls } from "./flow-calls.ts";
import { AdminService } from "./gen/slirp_binding/admin/v1/admin_pb.js";

/** It would cost both sides more than the octets of a local socket do. */
const UNCOMPRESSED = { acceptCompression: [] };
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
  const transport = createGrpcTransport({ baseUrl: AUTHORITY, sessionManager, ...UNCOMPRESSED });
  // Long answers by HTTP/1.1: HTTP/2 of the runtime takes twice the time for them.
  const long = createConnectTransport({
    baseUrl: AUTHORITY,
    httpVersion: "1.1",
    nodeOptions: { socketPath: path },
    ...UNCOMPRESSED,
  });
  return {
    calls: createClient(AdminService, transport),
    flows: flowCalls(long),
    close: () => sessionManager.abort(),
  };
}
