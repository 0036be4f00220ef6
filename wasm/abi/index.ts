/** The contract between engine and host, as the engine reads it; `abi.ts` tells what it is. */
export * from "./config";
export * from "./counters";
export * from "./flows";
export * from "./memory";
export * from "./operations";
export * from "./trace";
