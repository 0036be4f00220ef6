/** What a link's counters say before anybody has come. */
import type { PeerCounters } from "../../src/link/stream-peer.ts";

export const NO_PEERS: PeerCounters = {
  hasPeer: false,
  connections: 0,
  peersRefused: 0,
  peersForeign: 0,
  peersFleeting: 0,
  peerCrowds: 0,
  silentPeers: 0,
  badPeers: 0,
  brokenQueues: 0,
};
