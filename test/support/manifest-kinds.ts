/** All kinds of manifests, in the order in which they are printed. */
import { readManifestOptions } from "../../src/config/manifests.ts";

export const MANIFEST_KINDS = readManifestOptions(new Map()).only;
