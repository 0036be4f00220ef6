/**
 * The guests that the vhost-user link is tried with: each way in which a driver, QEMU or its memory
 * can differ, alone at an MTU or at both, and some of them together.
 *
 * `npm run guests` runs all of them. `npm test` runs SELECTION, which has most of the options, put
 * together so that few machines do: both MTUs with either kind of driver and either size.
 */

export interface GuestRow {
  readonly name: string;
  readonly mtu: 1500 | 65520;
  readonly size_mib: number;
  readonly cpus: number;
  /** Properties of the card. */
  readonly card: readonly string[];
  /** Properties of the memory. */
  readonly memory: readonly string[];
}

const SMALL_MIB = 512;
/** Above and below the hole under 4 GiB; it is sparse. */
const LARGE_MIB = 6144;

type Difference = Partial<Omit<GuestRow, "name" | "mtu">>;

function row(mtu: GuestRow["mtu"], name: string, difference: Difference = {}): GuestRow {
  const usual = { size_mib: SMALL_MIB, cpus: 1, card: [], memory: [] };
  return { name: `${name}, MTU ${mtu}`, mtu, ...usual, ...difference };
}

const both = (name: string, difference: Difference = {}): GuestRow[] => [
  row(1500, name, difference),
  row(65520, name, difference),
];

const NO_OFFLOADS = ["csum=off", "guest_csum=off"];
const NO_RECEIVE_OFFLOADS = ["guest_tso4=off", "guest_tso6=off", "guest_ufo=off"];
const PLAIN_RINGS = ["event_idx=off", "indirect_desc=off"];
const LONG_QUEUES = ["rx_queue_size=1024", "tx_queue_size=1024"];

export const MATRIX: readonly GuestRow[] = [
  ...both("as QEMU has it"),
  ...both("no merging", { card: ["mrg_rxbuf=off"] }),
  ...both("no checksum offload", { card: NO_OFFLOADS }),
  row(1500, "no checksum offload from the guest", { card: ["csum=off"] }),
  row(1500, "no checksum offload to the guest", { card: ["guest_csum=off"] }),
  ...both("no segments to the guest", { card: NO_RECEIVE_OFFLOADS }),
  row(1500, "no segments to the guest, no merging", {
    card: [...NO_RECEIVE_OFFLOADS, "mrg_rxbuf=off"],
  }),
  row(1500, "no segments from the guest", { card: ["host_tso4=off", "host_tso6=off"] }),
  ...both("legacy driver", { card: ["disable-modern=on"] }),
  row(1500, "legacy driver, no merging", { card: ["disable-modern=on", "mrg_rxbuf=off"] }),
  ...both("modern driver", { card: ["disable-legacy=on"] }),
  row(1500, "no event index", { card: ["event_idx=off"] }),
  row(1500, "no indirect descriptors", { card: ["indirect_desc=off"] }),
  ...both("nothing but plain rings", { card: PLAIN_RINGS }),
  row(1500, "packed rings are asked for", { card: ["packed=on"] }),
  ...both("queues of 1024", { card: LONG_QUEUES }),
  ...both("4 processors", { cpus: 4 }),
  ...both("6 GiB", { size_mib: LARGE_MIB }),
  row(65520, "6 GiB, 4 processors, queues of 1024", {
    ...{ size_mib: LARGE_MIB, cpus: 4 },
    card: LONG_QUEUES,
  }),
  ...both("memory that can shrink", { memory: ["seal=off"] }),
  row(65520, "6 GiB that can shrink", { size_mib: LARGE_MIB, memory: ["seal=off"] }),
  ...both("huge pages", { memory: ["hugetlb=on", "hugetlbsize=2M"] }),
];

export const SELECTION: readonly GuestRow[] = [
  row(65520, "modern driver, 6 GiB, 4 processors, queues of 1024", {
    ...{ size_mib: LARGE_MIB, cpus: 4 },
    card: ["disable-legacy=on", ...LONG_QUEUES],
  }),
  row(1500, "legacy driver, no merging, plain rings", {
    card: ["disable-modern=on", "mrg_rxbuf=off", ...PLAIN_RINGS],
  }),
  row(1500, "6 GiB that can shrink, no checksum offload", {
    ...{ size_mib: LARGE_MIB, memory: ["seal=off"] },
    card: NO_OFFLOADS,
  }),
  row(65520, "legacy driver, 4 processors, no segments to the guest", {
    cpus: 4,
    card: ["disable-modern=on", ...NO_RECEIVE_OFFLOADS],
  }),
];
