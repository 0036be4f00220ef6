/**
 * What `manifests` was asked to print: settings read into one frozen, validated value. Every text
 * in it is safe to put into YAML, between double quotes, and into a shell command as it is.
 */
import packageJson from "../../package.json" with { type: "json" };
import { ConfigError } from "./errors.ts";
import { flag, list, readGroup, rowsOf, type Values, value } from "./option.ts";
import { oneOf, type Settings } from "./settings.ts";

/** Documents in the order in which they are printed. */
const MANIFEST_KINDS = Object.freeze(["kubevirt", "gate", "resources", "nad", "vm"] as const);
export type ManifestKind = (typeof MANIFEST_KINDS)[number];

const REGISTRATION = "Registration:";
const OUTPUT = "Output:";

/** A host that cannot exist (RFC 2606 §2): the project has no registry; the admin names one. */
const IMAGE_DEFAULT = `registry.example/slirp-binding:${packageJson.version}`;

const IMAGE_SIZE_MAX = 512;
const LABEL_SIZE_MAX = 63;

/** `[HOST[:PORT]/]PATH[:TAG][@DIGEST]` as the distribution specification has it. */
const HOST = /(?:[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?/.source;
const PART = /[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/.source;
const TAG = /\w[\w.-]{0,127}/.source;
const DIGEST = /[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,128}/.source;
const IMAGE = new RegExp(`^(?:${HOST}/)?${PART}(?:/${PART})*(?::${TAG})?(?:@${DIGEST})?$`);

const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

const MANIFEST_OPTIONS = {
  /** Reference of the sidecar's image, by default this release's. */
  image: value({
    name: "image",
    argument: "IMAGE",
    description: "image of the sidecar (default {default})",
    heading: REGISTRATION,
    parse: parseImage,
    fallback: IMAGE_DEFAULT,
  }),
  /** Name the binding is registered under. */
  name: value({
    name: "name",
    argument: "NAME",
    description: "name of the binding, by which VMs ask for it (default {default})",
    heading: REGISTRATION,
    parse: parseLabel,
    fallback: "slirp",
  }),
  /** The registration names the NetworkAttachmentDefinition. */
  sysctls: flag({
    name: "sysctls",
    description: "have the pods' sysctls set: low ports and ping without privileges; needs Multus",
    heading: REGISTRATION,
  }),
  /** Name and namespace of the KubeVirt resource. */
  kubevirt: value({
    name: "kubevirt",
    argument: "NAME",
    description: "name of the KubeVirt resource (default {default})",
    heading: REGISTRATION,
    parse: parseLabel,
    fallback: "kubevirt",
  }),
  namespace: value({
    name: "namespace",
    argument: "NAMESPACE",
    description: "namespace of the KubeVirt resource (default {default})",
    heading: REGISTRATION,
    parse: parseLabel,
    fallback: "kubevirt",
  }),
  only: list({
    name: "only",
    argument: MANIFEST_KINDS.join("|"),
    description: "print this document alone (default: all)",
    heading: OUTPUT,
    parse: oneOf(MANIFEST_KINDS),
  }),
};

export const MANIFESTS_ROWS = rowsOf(MANIFEST_OPTIONS);

/** Options of `manifests`, frozen. `only` is never empty, and in the order of `MANIFEST_KINDS`. */
export type ManifestOptions = Values<typeof MANIFEST_OPTIONS>;

/** Reads the settings of `manifests`. Throws `ConfigError`. */
export function readManifestOptions(settings: Settings): ManifestOptions {
  const { only, ...options } = readGroup(MANIFEST_OPTIONS, settings);
  return Object.freeze({
    ...options,
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
