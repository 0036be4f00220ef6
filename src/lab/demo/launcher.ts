/**
 * virt-launcher's part, for the demonstration: calls of the hooks over gRPC, in its manner, with a
 * connection for each.
 */
import { connect } from "node:net";
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Info } from "../../hooks/gen/kubevirt/hooks/info/info_pb.js";
import { Callbacks } from "../../hooks/gen/kubevirt/hooks/v1alpha3/callbacks_pb.js";

/** virt-launcher's own limit for Info; the others have none. */
const CALL_LIMIT_MS = 10_000;
/** Means nothing on a unix socket. */
const AUTHORITY = "http://localhost";

export interface SidecarInfo {
  readonly name: string;
  readonly hookPoints: readonly string[];
  readonly versions: readonly string[];
}

export class Launcher {
  readonly #path: string;

  /** @param path of the sidecar's socket */
  constructor(path: string) {
    this.#path = path;
  }

  async info(): Promise<SidecarInfo> {
    const info = await this.#call((transport) =>
      createClient(Info, transport).info({}, { timeoutMs: CALL_LIMIT_MS }),
    );
    const hookPoints = info.hookPoints.map(({ name }) => name);
    return { name: info.name, hookPoints, versions: info.versions };
  }

  /** The domain to define in place of this one. */
  async onDefineDomain(domain: string, vmi: string): Promise<string> {
    const encoder = new TextEncoder();
    const request = { domainXML: encoder.encode(domain), vmi: encoder.encode(vmi) };
    const answer = await this.#call((transport) =>
      createClient(Callbacks, transport).onDefineDomain(request, { timeoutMs: CALL_LIMIT_MS }),
    );
    return new TextDecoder().decode(answer.domainXML);
  }

  async shutdown(): Promise<void> {
    await this.#call((transport) =>
      createClient(Callbacks, transport).shutdown({}, { timeoutMs: CALL_LIMIT_MS }),
    );
  }

  async #call<T>(work: (transport: Transport) => Promise<T>): Promise<T> {
    const createConnection = () => connect(this.#path);
    const sessionManager = new Http2SessionManager(AUTHORITY, undefined, { createConnection });
    try {
      return await work(createGrpcTransport({ baseUrl: AUTHORITY, sessionManager }));
    } finally {
      sessionManager.abort();
    }
  }
}
