/**
 * Of the contract (`abi.ts`): its version, how much of everything there is, where the regions of
 * engine memory lie, the control block that says so, and the entries of ADDRESSES.
 */

export const ABI_VERSION: i32 = 2;
export const ABI_MAGIC: i32 = 0x50524c53; // "SLRP"

// ---------------------------------------------------------------- capacities

/** The slot number of a handle has this many bits. */
export const HANDLE_SLOT_BITS: i32 = 16;
/** Upper limit of `CONFIG_FLOWS_MAX`. */
export const FLOW_CAPACITY_COUNT: i32 = 65536;
export const FLOWS_DEFAULT_COUNT: i32 = 16384;
/** Payload memory is one pool of chunks shared by all flows. */
export const CHUNK_SIZE: i32 = 16384;
export const CHUNK_CAPACITY_COUNT: i32 = 4096;
export const CHUNKS_DEFAULT_COUNT: i32 = 1024;
/** Frames the host may hand over in one `guest_rx`; each slot holds a 64 KiB offload frame. */
export const RX_SLOT_COUNT: i32 = 64;
export const RX_SLOT_SIZE: i32 = 69632;
/** Frames the engine may hold for the guest before the host has to drain them. */
export const TX_CAPACITY_COUNT: i32 = 512;
export const TX_SLOT_SIZE: i32 = 2048;
export const OP_CAPACITY_COUNT: i32 = 256;
export const IOV_CAPACITY_COUNT: i32 = 8192;
export const MSG_CAPACITY_COUNT: i32 = 512;
export const SCRATCH_SLOT_COUNT: i32 = 32;
export const SCRATCH_SLOT_SIZE: i32 = 65536;
export const FRAGMENT_CONTEXT_COUNT: i32 = 8;
export const RESOLVER_COUNT: i32 = 3;
export const DHCP_OPTIONS_SIZE: i32 = 1024;
/** IPv6 addresses in use at once, all flows together. */
export const ADDRESS_CAPACITY_COUNT: i32 = 65536;
/** Addresses of the host's own, and addresses with published ports, that `host_address` takes. */
export const HOST_ADDRESS_COUNT: i32 = 2048;
export const HOST_SPOT_COUNT: i32 = 128;
/** Destinations a UDP flow remembers for filtering, the last ones. */
export const FILTER_COUNT: i32 = 48;

// ---------------------------------------------------------------- regions

/** Index into the region table of the control block. */
export const REGION_CONTROL: i32 = 0;
export const REGION_CONFIG: i32 = 1;
export const REGION_STATS: i32 = 2;
export const REGION_RX_DESCRIPTORS: i32 = 3;
export const REGION_RX_BUFFERS: i32 = 4;
export const REGION_TX_RECORDS: i32 = 5;
export const REGION_TX_BUFFERS: i32 = 6;
export const REGION_OPS: i32 = 7;
export const REGION_FLOWS: i32 = 8;
export const REGION_CHUNKS: i32 = 9;
export const REGION_SCRATCH: i32 = 10;
export const REGION_ADDRESSES: i32 = 11;
export const REGION_COUNT: i32 = 12;

export const CONTROL_MAGIC_OFFSET: i32 = 0;
export const CONTROL_VERSION_OFFSET: i32 = 4;
export const CONTROL_OP_COUNT_OFFSET: i32 = 8; // ops emitted since the last complete()
export const CONTROL_OP_BASE_OFFSET: i32 = 12; // address of the first of them
export const CONTROL_TX_COUNT_OFFSET: i32 = 16; // frames waiting for the guest
export const CONTROL_FLOW_COUNT_OFFSET: i32 = 20; // flows in use
export const CONTROL_CHUNK_COUNT_OFFSET: i32 = 24; // chunks in use
export const CONTROL_READY_OFFSET: i32 = 28; // READY_* bits
export const CONTROL_REGIONS_OFFSET: i32 = 32; // REGION_COUNT times {base u32, size u32}
/** IPv6 address (16 octets) and scope (u32) the host wants a number for, see `address_six`. */
export const CONTROL_ADDRESS_OFFSET: i32 = 128;
export const CONTROL_SCOPE_OFFSET: i32 = 144;
/** Times the guest was heard of at an address that is not link-local; wraps. */
export const CONTROL_HEARD_OFFSET: i32 = 148;
/** Copies for the host to make (LENT_COPY_…): how many, and the address of the first. */
export const LENT_CONTROL_COUNT_OFFSET: i32 = 152;
export const LENT_CONTROL_BASE_OFFSET: i32 = 156;
export const CONTROL_SIZE: i32 = 160;

/** Number of the first entry in ADDRESSES; all above stand for IPv6 addresses too. */
export const ADDRESS_SIX: i32 = -0x10000000;
/** Entry of ADDRESSES: 16 octets, then the scope (interface index of a link-local address). */
export const ADDRESS_SCOPE_OFFSET: i32 = 16;
export const ADDRESS_SIZE: i32 = 32;

/** Host sockets have more to read: call step() again, after a look at the other event sources. */
export const READY_RECEIVE: i32 = 1;
/** Rings were full: call step() again before guest_rx(), unless the link is what is full. */
export const READY_FLUSH: i32 = 2;
