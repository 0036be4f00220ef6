/** What a link with peers tells of them: what happens, and how often it did. */

/** What happened at the other end. `reason` and `problem` are for people. */
export type PeerEvent =
  | { readonly kind: "connected" }
  /** `fault`: it broke the rules of the stream. `refused`: how many others came meanwhile. */
  | {
      readonly kind: "disconnected";
      readonly reason: string;
      readonly fault: boolean;
      readonly refused: number;
    }
  /** Told once for each peer that holds the place. */
  | { readonly kind: "refused" }
  /** Closed for its user, or the negative errno that kept us from asking. Told once for a row. */
  | { readonly kind: "foreign"; readonly uid: number }
  /** Peers come and go so quickly that they are looked at ever more slowly. Once for a row. */
  | { readonly kind: "hurried" }
  /** Told once for each row of attempts that fail. */
  | { readonly kind: "unreachable"; readonly problem: string }
  /** Of vhost-user: a queue was stopped for what the guest's driver did; told of once for each. */
  | { readonly kind: "broken"; readonly queue: "receive" | "transmit"; readonly problem: string }
  /** Of vhost-user: guest memory can be taken away, so system calls copy it; once for a peer. */
  | { readonly kind: "shrinkable" };

/** What a link knows of its peers, past and present. */
export interface PeerCounters {
  readonly hasPeer: boolean;
  /** Peers so far. */
  readonly connections: number;
  /** Connections closed at once, because there was a peer. */
  readonly peersRefused: number;
  /** Connections closed at once, because of the user at their other end. */
  readonly peersForeign: number;
  /** Connections that were over at once, or soon after they had the place. */
  readonly peersFleeting: number;
  /** Times that peers began to come and go so quickly that they were looked at more slowly. */
  readonly peerCrowds: number;
  /** Peers that were closed because they said nothing while another one waited. */
  readonly silentPeers: number;
  /** Peers that were closed because they broke the rules of the stream or of the protocol. */
  readonly badPeers: number;
  /** Queues that were stopped for what the guest's driver did; of vhost-user. */
  readonly brokenQueues: number;
}
