/**
 * The header in front of each frame of a link that offloads: struct virtio_net_hdr.
 *
 *      0       1          2            4          6            8             10
 *     | flags | gso type | header len | gso size | csum start | csum offset | buffers
 *
 * Every field of two octets is in the machine's order, which is little-endian here.
 *
 * Source: virtio 1.2 §5.1.6.
 */

export const VNET_SIZE: u32 = 10;
/** With the number of buffers, as a link has it that merges them. */
export const VNET_MERGED_SIZE: u32 = 12;

/** Bits of the flags: the checksum is a partial one, or has been found right. */
export const VNET_NEEDS_CSUM: u32 = 1;
export const VNET_DATA_VALID: u32 = 2;

/** What one frame is to be cut into. */
export const GSO_NONE: u32 = 0;
export const GSO_TCPV4: u32 = 1;
export const GSO_TCPV6: u32 = 4;
export const GSO_UDP_L4: u32 = 5;
/** A bit beside those of TCP: the segments have CWR. */
export const GSO_ECN: u32 = 0x80;

export const VNET_GSO_TYPE_OFFSET: usize = 1;
export const VNET_GSO_SIZE_OFFSET: usize = 4;
