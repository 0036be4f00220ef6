/**
 * AssemblyScript's number types as tsc sees them, so that `wasm/abi.ts` and `wasm/errno.ts`, which
 * both compilers read, type-check. An i32 is a whole number from -2^31 to 2^31 - 1.
 */
declare type i32 = number;
