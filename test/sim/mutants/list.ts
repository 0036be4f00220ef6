/**
 * Deliberate bugs of the engine, as data: what a change that was not meant might look like. Each
 * must be found by the simulator within 500 seeds (`npm run mutants`), or the simulator's silence
 * about the engine as it is would mean nothing.
 *
 * `from` is a piece of a file under `wasm/` that occurs there once; the bug is to have `to` in its
 * place. Who rewrites such a line rewrites it here, too.
 */

export interface Mutant {
  readonly name: string;
  /** Below `wasm/`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** What a user would see. */
  readonly why: string;
  /** The first seed that finds it, counted from 1: written down by `npm run mutants`. */
  readonly seed: number;
}

const STREAMS: readonly Mutant[] = [
  {
    name: "FIN before data",
    file: "tcp/upstream.ts",
    from: "if (result == 0) endOfStream(flow, now);",
    to: "if (result == 0 || result == EAGAIN) endOfStream(flow, now);",
    why: "the guest takes a pause of the peer for the end",
    seed: 6,
  },
  {
    name: "acknowledged too early",
    file: "tcp/output.ts",
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
    file: "tcp/input.ts",
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
    file: "tcp/upstream.ts",
    from: "function hostFailed(flow: Tcp, now: i64): void {\n  sendReset(flow, now);",
    to: "function hostFailed(flow: Tcp, now: i64): void {",
    why: "the guest waits for minutes on a connection that is gone",
    seed: 1,
  },
  {
    name: "a readable socket forgotten",
    file: "tcp/upstream.ts",
    from: "if (total < op.a && (flow.events & abi.EVENT_READ_HANGUP) == 0) {",
    to: "if (total <= op.a && (flow.events & abi.EVENT_READ_HANGUP) == 0) {",
    why: "a download stops in the middle: the edge does not come again",
    seed: 4,
  },
  {
    name: "a writable socket forgotten",
    file: "tcp/upstream.ts",
    from: "flow.flags &= ~F_BLOCKED;\n    markDirty(flow);",
    to: "flow.flags &= ~F_BLOCKED;",
    why: "an upload stops in the middle",
    seed: 24,
  },
];

const RECOVERY: readonly Mutant[] = [
  {
    name: "lost retransmission",
    file: "tcp/congestion.ts",
    from: "flow.sndNext = flow.sndUna;\n  flow.sendCursor = -1;\n  flow.rto",
    to: "flow.rto",
    why: "what was lost after the last acknowledgment never comes",
    seed: 9,
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
    file: "tcp/conn.ts",
    from: "tcpCloseHost(flow, abort);\n  tcpFreeChunks(flow);\n  count(abi.STAT_TCP_CLOSED);",
    to: "tcpCloseHost(flow, abort);\n  count(abi.STAT_TCP_CLOSED);",
    why: "the pool runs dry after some thousand resets",
    seed: 1,
  },
  {
    name: "socket leaked",
    file: "tcp/conn.ts",
    from: "tcpCloseHost(flow, abort);\n  tcpFreeChunks(flow);",
    to: "tcpFreeChunks(flow);",
    why: "file descriptors run out",
    seed: 1,
  },
  {
    name: "flow not freed",
    file: "flow/udp.ts",
    from: "  datagramEnd(datagram);\n}\n\n/** Ends a flow to make room. */",
    to: "}\n\n/** Ends a flow to make room. */",
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
    file: "tcp/input.ts",
    from: "if (!trusted && !transportChecksumOk(",
    to: "if (false && !transportChecksumOk(",
    why: "damaged octets reach the peer",
    seed: 55,
  },
  {
    name: "UDP reply to the wrong flow",
    file: "flow/udp.ts",
    from: "flowFind(abi.KIND_UDP, guest, 0, view.sourcePort << 16)",
    to: "flowFind(abi.KIND_UDP, guest, 0, (view.sourcePort & 0xfffe) << 16)",
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
    file: "flow/dns.ts",
    from: "length >= HEADER_SIZE && findQuestion(flow, p, length) != 0;",
    to: "false;",
    why: "names do not resolve although the second resolver lives",
    seed: 2,
  },
];

export const MUTANTS: readonly Mutant[] = [...BOOKS, ...DATAGRAMS, ...RECOVERY, ...STREAMS];
