/**
 * The module variables of the engine: what it remembers from one call to the next. What describes a
 * packet, a frame or a message under way is a record (`@unmanaged`) or a returned value instead.
 */
export const ENGINE_STATE: Readonly<Record<string, string>> = {
  "wasm/audit.ts": "turns chunks heldOutside",
  "wasm/engine.ts": "receiveBudget unasked",
  "wasm/flow/addresses.ts":
    "limit indexMask fresh freeHead used debt recentNext lastSource lastDestination markHeld",
  "wasm/flow/datagram-receive.ts": "slots slotsUsed framesExpected awaiting",
  "wasm/flow/dns-turn.ts": "pausedUntil",
  "wasm/flow/emit.ts": "identCounter identKey",
  "wasm/flow/error-limit.ts": "credit refilled",
  "wasm/flow/evict.ts": "head waiting evictFlow",
  "wasm/flow/fragment-context.ts": "freeCount handedCount used",
  "wasm/flow/holders.ts": "outside",
  "wasm/flow/neighbor.ts":
    "lastOther4 lastOther6 isUnanswered4 isUnanswered6 clock nextCheck awaitedCount isNews",
  "wasm/flow/own.ts": "ownCount spotCount hasDual ownUdpPorts",
  "wasm/flow/parties.ts": "fresh freeHead largestGuest largestOutside",
  "wasm/flow/peers.ts": "isUsed setsOutside last",
  "wasm/flow/presence.ts": "isDoubted",
  "wasm/flow/queries.ts": "fresh",
  "wasm/flow/resolvers.ts": "resolverEpoch",
  "wasm/flow/table.ts":
    "flowsMax flowsUsed flowsCeiling indexMask fresh freeHead dirtyHead dirtyTail readyHead readyTail",
  "wasm/flow/tftp.ts": "secret",
  "wasm/flow/whereabouts.ts": "chosen4 chosen6 askAt asks sweepAt",
  "wasm/guest.ts": "leavesAt doubtNext",
  "wasm/local/dhcpv4.ts": "declinedUntil",
  "wasm/local/dhcpv6.ts": "declinedUntil",
  "wasm/local/ndp.ts": "dueAt lastAt initialLeft serial toldLength",
  "wasm/memory.ts": "hostBase chunksMax chunksUsed chunkFresh chunkFree chunkLimbo",
  "wasm/prng.ts": "key0 key1 isnKey0 isnKey1 s0 s1 s2 s3 v0 v1 v2 v3",
  "wasm/ring.ts":
    "bank opCount iovCount msgCount txIovCount entryCount keptUsed isPublished linkFull txCount vnetSize resultBase resultCount",
  "wasm/tcp/download.ts": "receiveAsked poolSpent",
  "wasm/tcp/pressure.ts": "nextRound",
  "wasm/tcp/timers.ts": "doubtAt",
  "wasm/tcp/window.ts": "epoch epochEnd activeNow activeBefore linkBudget sharing",
  "wasm/timer.ts": "size turnNow",
  "wasm/trap.ts": "trapLine trapFile trapMessage",
};
