/**
 * What `manifests` was asked to print: settings read into one frozen, validated value. Every text
 * in it is safe to put into YAML, between double quotes, and into a shell command as it is.
 */
import { ConfigError } from "./errors.ts";
import { oneOf, readFlag, readMany, readOne, type Settings } from "./settings.ts";

/** Documents in the order in which they are printed. */
export const MANIFEST_KINDS = Object.freeze([
  "kubevirt",
  "gate",
  "resources",
  "nad",
  "vm",
] as const);
export type ManifestKind = (typeof MANIFEST_KINDS)[number];

/** Options of `manifests`, frozen. */
export interface ManifestOptions {
  /** Reference of the sidecar's image; undefined stands for this release's. */
  readonly image: string | undefined;
  /** Name the binding is registered under. */
  readonly name: string;
  /** Name and namespace of the KubeVirt resource. */
  readonly kubevirt: string;
  readonly namespace: string;
  /** The registration names the NetworkAttachmentDefinition. */
  readonly sysctls: boolean;
  /** Never empty. */
  readonly only: readonly ManifestKind[];
}

export const MANIFEST_DEFAULTS = Object.freeze({
  name: "slirp",
  kubevirt: "kubevirt",
  namespace: "kubevirt",
} as const);

const IMAGE_SIZE_MAX = 512;
const LABEL_SIZE_MAX = 63;

/** `[HOST[:PORT]/]PATH[:TAG][@DIGEST]` as the distribution specification has it. */
const HOST = /(?:[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?/.source;
const PART = /[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/.source;
const TAG = /\w[\w.-]{0,127}/.source;
const DIGEST = /[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,128}/.source;
const IMAGE = new RegExp(`^(?:${HOST}/)?${PART}(?:/${PART})*(?::${TAG})?(?:@${DIGEST})?$`);

const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** Reads the settings of `manifests`. Throws `ConfigError`. */
export function readManifestOptions(settings: Settings): ManifestOptions {
  const { name, kubevirt, namespace } = MANIFEST_DEFAULTS;
  const only = readMany(settings, "only", oneOf(MANIFEST_KINDS));
  return Object.freeze({
    image: readOne(settings, "image", undefined, parseImage),
    name: readOne(settings, "name", name, parseLabel),
    kubevirt: readOne(settings, "kubevirt", kubevirt, parseLabel),
    namespace: readOne(settings, "namespace", namespace, parseLabel),
    sysctls: readFlag(settings, "sysctls"),
    only: MANIFEST_KINDS.filter((kind) => only.length === 0 || only.includes(kind)),
  });
}

function parseImage(text: string): string {
  if (text.length <= IMAGE_SIZE_MAX && IMAGE.test(text)) return text;
  throw new ConfigError('wanted an image such as "registry.example/slirp-binding:1.0"');
}

/** Kubernetes allows more for some of these names; nobody needs it, and a label is always safe. */
function parseLabel(text: string): string {
  if (text.length <= LABEL_SIZE_MAX && LABEL.test(text)) return text;
  throw new ConfigError(
    `wanted a name of Kubernetes: at most ${LABEL_SIZE_MAX} of "a" to "z", digits and "-"`,
  );
}
