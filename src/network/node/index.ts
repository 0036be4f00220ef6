/**
 * The engine in Node, Bun and Deno: sockets of the runtime, published ports, guests at a stream
 * socket, and the engine's file.
 */
export {
  type NodeUpstream,
  type NodeUpstreamOptions,
  type NodeUpstreamStats,
  nodeUpstream,
} from "./node-upstream.ts";
export { type Published, type PublishOptions, publish } from "./publish.ts";
export { type ReadEngineOptions, readEngine } from "./read-engine.ts";
export { serveStream } from "./serve-stream.ts";
