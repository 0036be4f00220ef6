/**
 * The engine as a package: a complete TCP/IP network for an Ethernet device.
 *
 *     const network = await createNetwork({ engine, upstream });
 *     network.link.onFrame = (frame) => card.receive(frame);
 *     card.onSend = (frame) => network.link.receive(frame);
 */

export { EngineError, type EngineErrorCode } from "../engine/errors.ts";
export type { FlowKind, TcpStateName } from "../engine/flows.ts";
export { detectSimd } from "../engine/module.ts";
export { type EngineStats, readStats } from "../engine/stats.ts";
export { plug } from "./cable.ts";
export {
  createNetwork,
  createNetworkSync,
  type EngineSource,
  type NetworkOptions,
} from "./create.ts";
export { type DhcpContent, type DhcpLists, dhcpOptions } from "./dhcp.ts";
export { type NetworkFlow, readFlows } from "./flows.ts";
export {
  FrameBatch,
  type FrameReceiver,
  type FramesReceiver,
  SentFrames,
} from "./frame-link.ts";
export { type Host, systemHost } from "./host.ts";
export { admit, dial, type Knock } from "./inbound.ts";
export type { Network } from "./network.ts";
export type { NetworkLink } from "./network-link.ts";
export { type Service, withServices } from "./services.ts";
export type { NetworkSettings } from "./settings.ts";
export { type Connection, ConnectionError, StreamPair } from "./stream-pair.ts";
export * from "./upstream.ts";
