/**
 * The ICMP error under way: what it says, who says it, and whom it goes to. Filled before one of
 * the functions that send (`icmp-error`, `icmp6-error`) is called.
 */

@unmanaged
export class IcmpNotice {
  /** The guest's. */
  mac: u64;
  type: u32;
  code: u32;
  /** Second word of the ICMP header: next-hop MTU, pointer, or 0. */
  rest: u32;
  /** Address it comes from, a number as in `addresses`. */
  source: u32;
}

export const notice: IcmpNotice = changetype<IcmpNotice>(
  memory.data(<i32>offsetof<IcmpNotice>(), 8),
);

export function noticeBegin(type: u32, code: u32, rest: u32, source: u32, mac: u64): void {
  notice.type = type;
  notice.code = code;
  notice.rest = rest;
  notice.source = source;
  notice.mac = mac;
}
