/**
 * How much one turn may do, so that nobody waits long: neither the control channel for a busy link,
 * nor one flow for another.
 */

/**
 * Frames taken from the guest in a turn, unless the link says another number: what is taken is
 * worked off before anything else is.
 */
export const GUEST_BATCH = 32;
/** Such batches in a turn at most, where the guest was given more than was taken from it. */
export const BATCHES_MAX = 8;
/** Events looked at in a turn. */
export const EVENT_BATCH = 256;
/** Microseconds between two looks at deadlines while the link is full: they can wait then. */
export const FULL_PAUSE_US = 100_000;
