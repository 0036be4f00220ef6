/** The seeds that every run of the tests simulates. */

/** Two hundred in a row; what the swarm finds is added by number below. */
const FIRST = 1;
const COUNT = 200;

/** Seeds that found something once. */
const FOUND = [298, 1575, 3147, 3312, 3989, 5110, 6593, 16733, 46173, 58750];

export const PINNED_SEEDS: readonly number[] = [
  ...Array.from({ length: COUNT }, (_, i) => FIRST + i),
  ...FOUND,
];

/** Competitions: each party, silences and deaf guests are in one of them at least. */
export const COMPETITION_SEEDS: readonly number[] = [1, 4, 6, 8, 9, 12, 16, 19, 29, 32, 34, 43];

/** Shut windows: updates told, lost and withheld, and writers, are in one of them at least. */
export const WINDOW_SEEDS: readonly number[] = Array.from({ length: 25 }, (_, i) => 1 + i);

/** Guests with a vhost-user card: each habit of a driver is in one of them at least. */
export const CARD_SEEDS: readonly number[] = Array.from({ length: 30 }, (_, i) => 1 + i);

/** Those whose trace hash is pinned too, in `hashes.json`. */
export const HASHED_SEEDS: readonly number[] = [1, 2, 3, 5, 8, 13, 21, 34, 35, 55, 89, 144];
export const HASHED_WINDOWS: readonly number[] = [1, 6, 13, 19];
export const HASHED_CARDS: readonly number[] = [1, 3, 5, 24];
export const HASHED_COMPETITIONS: readonly number[] = [1, 8, 9, 34];
