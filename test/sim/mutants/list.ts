/**
 * Deliberate bugs of the engine, the loop and the vhost-user link, as data: what a change that was
 * not meant might look like. Each must be found by the simulator within 500 seeds (`npm run
 * mutants`), or its silence about them as they are would mean nothing.
 *
 * `from` is a piece of a file that occurs there once; the bug is to have `to` in its place. Who
 * rewrites such a line rewrites it here, too. Those of SHARES are looked for in competitions,
 * those of WINDOWS and RINGS in runs of such families.
 */
import type { Family } from "../../../src/lab/sim/family.ts";
import type { Mutant } from "./mutant.ts";
import { RINGS } from "./rings.ts";
import { SHARES } from "./shares.ts";

const STREAMS: readonly Mutant[] = [
  {
    name: "FIN before data",
    file: "tcp/download.ts",
    from: "if (result == 0) endOfStream(flow, now);",
    to: "if (result == 0 || result == EAGAIN) endOfStream(flow, now);",
    why: "the guest takes a pause of the peer for the end",
    seed: 6,
  },
  {
    name: "acknowledged too early",
    file: "tcp/emit.ts",
    from: "sequence, flow.rcvAck, length, flags, window);",
    to: "sequence, flow.rcvNext, length, flags, window);",
    why: "octets the host never took are lost when the connection breaks",
    seed: 1,
  },
  {
    name: "FIN acknowledged before shutdown",
    file: "tcp/upstream.ts",
    from: "opAlloc(abi.OP_TCP_SHUTDOWN, handleOf(flow));",
    to: "shut(flow, now);",
    why: "the peer never learns that the guest has sent everything",
    seed: 1,
  },
  {
    name: "SYN-ACK before the host is connected",
    file: "tcp/upstream.ts",
    from: "} else if (op.result > 0) connected(flow, now);",
    to: "} else connected(flow, now);",
    why: "a port that refuses looks open",
    seed: 1,
  },
  {
    name: "window off by one",
    file: "tcp/output.ts",
    from: "const window = min(flow.sndWindow, flow.cwnd);",
    to: "const window = min(flow.sndWindow + 1, flow.cwnd);",
    why: "one octet more than the guest has room for",
    seed: 3,
  },
  {
    name: "right edge of the window moves left",
    file: "tcp/window.ts",
    from: "if (seqGt(edge, flow.rcvEdge) && edge - flow.rcvEdge >= min(flow.mss, limit >> 1)) {",
    to: "if (edge != flow.rcvEdge) {",
    why: "octets the guest was allowed to send are refused (RFC 9293 SHLD-14)",
    seed: 1,
  },
  {
    name: "payload cut at the wrong octet",
    file: "tcp/reassembly.ts",
    from: "payload += known;",
    to: "payload += known - 1;",
    why: "a segment sent again with more behind it spoils the stream",
    seed: 31,
  },
  {
    name: "delivered twice after reassembly",
    file: "tcp/reassembly.ts",
    from: "chunkTrim(chunk, count);",
    to: "",
    why: "what a short write took is written again",
    seed: 13,
  },
  {
    name: "reset not passed on",
    file: "tcp/download.ts",
    from: "function hostFailed(flow: Tcp, now: i64): void {\n  sendReset(flow, now);",
    to: "function hostFailed(flow: Tcp, now: i64): void {",
    why: "the guest waits for minutes on a connection that is gone",
    seed: 1,
  },
  {
    name: "a readable socket forgotten",
    file: "tcp/download.ts",
    from: "if (total < op.a && !ends) {",
    to: "if (total <= op.a && !ends) {",
    why: "a download stops in the middle: the edge does not come again",
    seed: 4,
  },
  {
    name: "a writable socket forgotten",
    file: "tcp/upstream.ts",
    from: "if (flow.rcvNext == flow.rcvAck) flow.flags |= P_ACK;\n    markDirty(flow);",
    to: "if (flow.rcvNext == flow.rcvAck) flow.flags |= P_ACK;",
    why: "an upload stops in the middle",
    seed: 24,
  },
];

const RECOVERY: readonly Mutant[] = [
  {
    name: "lost retransmission",
    file: "tcp/recovery.ts",
    from: "boardAllLost(flow, flow.retransmits < 2 && runBits(flow, 0) != SACKED);",
    to: "",
    why: "what was lost after the last acknowledgment never comes",
    seed: 63,
  },
  {
    name: "SACK block kept",
    file: "tcp/reassembly.ts",
    from: "if (seqLe(left, flow.rcvNext)) continue;",
    to: "",
    why: "blocks of what is acknowledged make the guest take them for D-SACK, or leave holes",
    seed: 1,
  },
  {
    name: "SACK of what is not held",
    file: "tcp/reassembly.ts",
    from: "while (chunk >= 0 && chunkSequence(chunk) == right) {",
    to: "while (chunk >= 0) {",
    why: "the guest believes that a hole has arrived and frees it",
    seed: 8,
  },
  {
    name: "sequence numbers compared unsigned",
    file: "wire/seqnum.ts",
    from: "return <i32>(a - b) >= 0;",
    to: "return a >= b;",
    why: "connections stop where their numbers wrap, after 4 GiB or at once",
    seed: 11,
  },
  {
    name: "a window below a segment never used",
    file: "tcp/timers.ts",
    from: "flow.flags |= F_OVERRIDE | P_OUTPUT;",
    to: "flow.flags |= P_OUTPUT;",
    why: "a guest with a tiny buffer waits for ever",
    seed: 219,
  },
  {
    name: "SYN-ACK not sent again",
    file: "tcp/timers.ts",
    from: "flow.rtoAt = now + <i64>flow.rto;\n  flow.flags |= P_SYN;",
    to: "flow.rtoAt = now + <i64>flow.rto;",
    why: "a connection whose first answer was lost takes until the guest asks again",
    seed: 131,
  },
];

/** Looked for in runs of the family "windows". */
const WINDOWS: readonly Mutant[] = [
  {
    name: "no zero-window probe",
    file: "tcp/timers.ts",
    from: "} else flow.flags |= P_PROBE;",
    to: "}",
    why: "a lost window update is the end of a download",
    seed: 2,
  },
  {
    name: "held octets in the wrong place",
    file: "tcp/reassembly.ts",
    from: "if (at >= 0) n = min(n, chunkSequence(at) - sequence);",
    to: "",
    why: "octets out of order run over each other",
    seed: 9,
  },
];

const BOOKS: readonly Mutant[] = [
  {
    name: "stale generation accepted",
    file: "flow/table.ts",
    from: "if (<u32>flow.generation != handle >> abi.HANDLE_SLOT_BITS) return changetype<Flow>(0);",
    to: "",
    why: "news of a socket that is closed reach the connection that has its slot now",
    seed: 21,
  },
  {
    name: "chunk leaked at reset",
    file: "tcp/ending.ts",
    from: "tcpCloseHost(flow, abort);\n  tcpFreeChunks(flow);\n  count(abi.STAT_TCP_CLOSED);",
    to: "tcpCloseHost(flow, abort);\n  count(abi.STAT_TCP_CLOSED);",
    why: "the pool runs dry after some thousand resets",
    seed: 1,
  },
  {
    name: "socket leaked",
    file: "tcp/ending.ts",
    from: "tcpCloseHost(flow, abort);\n  tcpFreeChunks(flow);",
    to: "tcpFreeChunks(flow);",
    why: "file descriptors run out",
    seed: 1,
  },
  {
    name: "flow not freed",
    file: "flow/udp.ts",
    from: "    return;\n  }\n  datagramEnd(datagram);",
    to: "    return;\n  }",
    why: "the table fills with flows nobody uses",
    seed: 2,
  },
  {
    name: "timer not moved forward",
    file: "timer.ts",
    from: "else if (deadline < key(i)) siftUp(i, deadline, flowSlot);",
    to: "",
    why: "a retransmission waits until the connection is looked at for being idle",
    seed: 24,
  },
  {
    name: "drop not counted",
    file: "flow/udp.ts",
    from: "if (verdict != abi.DROP_NONE) {\n    drop(verdict);",
    to: "if (verdict != abi.DROP_NONE) {",
    why: "packets vanish without a trace in the counters",
    seed: 258,
  },
];

const DATAGRAMS: readonly Mutant[] = [
  {
    name: "checksum of an odd piece",
    file: "wire/checksum.ts",
    from: "return sumAdd(a, (aLength & 1) != 0 ? sumSwap(b) : b);",
    to: "return sumAdd(a, b);",
    why: "segments made of pieces of odd length are dropped by the guest, each time again",
    seed: 89,
  },
  {
    name: "checksum not verified",
    file: "tcp/segment.ts",
    from: "!packet.isChecksumTrusted &&",
    to: "false &&",
    why: "damaged octets reach the peer",
    seed: 55,
  },
  {
    name: "UDP reply to the wrong flow",
    file: "flow/udp.ts",
    from: "const ports = (guestPort << 16) | spot;",
    to: "const ports = ((guestPort & 0xfffe) << 16) | spot;",
    why: "two programs in the guest get each other's answers",
    seed: 3,
  },
  {
    name: "ping reply with the host's identifier",
    file: "flow/datagram-deliver.ts",
    from: "message.identifier = flow.guestPort;",
    to: "",
    why: "no ping in the guest recognises its replies",
    seed: 1,
  },
  {
    name: "a fragment without its last octet",
    file: "flow/fragments.ts",
    from: "memory.copy(payload + offset, data, length);",
    to: "memory.copy(payload + offset, data, offset == 0 ? length : length - 1);",
    why: "large datagrams arrive spoilt",
    seed: 43,
  },
  {
    name: "dead resolver asked for ever",
    file: "flow/resolvers.ts",
    from: "if (resolverIsUp(index)) return index;",
    to: "return 0;",
    why: "names do not resolve although the second resolver lives",
    seed: 2,
  },
];

/** Books that go wrong long before a guest would notice: assertions see it (`wasm/trap.ts`). */
const ASSERTED: readonly Mutant[] = [
  {
    name: "slots counted against a share they have left",
    file: "flow/table.ts",
    from: "store<i32>(shareAt(flow.share), shareUsed(flow.share) - 1);\n  flow.share = share;",
    to: "flow.share = share;",
    why: "after some thousand connections the share of all is spent, and nobody gets a slot",
    seed: 1,
  },
  {
    name: "timer heap out of order",
    file: "timer.ts",
    from: "if (i > 0 && key((i - 1) >> 1) > deadline) siftUp(i, deadline, s);\n  else siftDown",
    to: "siftDown",
    why: "once in a while a timer goes off late, by as much as another flow is idle",
    seed: 1,
  },
  {
    name: "the queue's cursor stays on a chunk that is gone",
    file: "tcp/congestion.ts",
    from: "if (flow.sendCursor == chunk) flow.sendCursor = -1;",
    to: "",
    why: "once in a while a guest gets octets of another connection",
    seed: 1,
  },
];

/** Whether the bug is looked for by the engine's assertions: in its checked build. */
export function isAsserted(mutant: Mutant): boolean {
  return ASSERTED.includes(mutant);
}

/** The kind of runs that a mutant is looked for in. */
export function familyOf(mutant: Mutant): Family {
  if (WINDOWS.includes(mutant)) return "windows";
  if (RINGS.includes(mutant)) return "vhost-user";
  return SHARES.includes(mutant) ? "competition" : "random";
}

export const MUTANTS: readonly Mutant[] = [
  ...BOOKS,
  ...DATAGRAMS,
  ...RECOVERY,
  ...STREAMS,
  ...WINDOWS,
  ...SHARES,
  ...RINGS,
  ...ASSERTED,
];
