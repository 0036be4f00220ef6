/**
 * `manifests`: prints what the admin of a cluster applies so that KubeVirt knows this binding, and
 * an example of a virtual machine that uses it.
 *
 * The texts are templates, not data run through a writer of YAML: their comments are half of their
 * worth. `deploy/` holds the same with all defaults; `test/cli/manifests.test.ts` keeps both
 * equal.
 *
 * Contract: pure. The output is YAML documents, each with its comment, and ends with a line end.
 * Source: KubeVirt API v1; KubeVirt's user guide, network binding plugins.
 */
import type { ManifestKind, ManifestOptions } from "../config/manifests.ts";

/** In a namespace that all others may refer to, whatever Multus isolates. */
const NAD = { namespace: "default", name: "slirp-sysctls" } as const;
const NAD_LINE = `networkAttachmentDefinition: ${NAD.namespace}/${NAD.name}`;
const VM_NAME = "vm-net-binding-slirp";

/** The documents asked for, separated by `---`. */
export function manifests(options: ManifestOptions): string {
  return options.only.map((kind) => `${WRITERS[kind](options)}\n`).join("---\n");
}

const WRITERS: Readonly<Record<ManifestKind, (options: ManifestOptions) => string>> = {
  kubevirt: writeKubevirt,
  gate: writeGate,
  resources: writeResources,
  nad: writeNad,
  vm: writeVm,
};

/** A name as YAML text: with digits, and as some words, it might be read as something else. */
function quoted(name: string): string {
  const isPlain = /^[a-z]+(?:-[a-z]+)*$/.test(name);
  return isPlain && !/^(?:true|false|null|y|yes|n|no|on|off)$/.test(name) ? name : `"${name}"`;
}

/** An image as YAML text: only one without a folder might be read as something else. */
function quotedImage(image: string): string {
  return /^[a-z].*\//i.test(image) ? image : `"${image}"`;
}

function patchCommand(
  { kubevirt, namespace }: ManifestOptions,
  type: string,
  file: string,
): string {
  return `kubectl patch kubevirt ${kubevirt} --namespace ${namespace} \\
#     --type ${type} --patch-file ${file}.yaml`;
}

function kubevirtHeader({ kubevirt, namespace }: ManifestOptions): string {
  return `apiVersion: kubevirt.io/v1
kind: KubeVirt
metadata:
  name: ${quoted(kubevirt)}
  namespace: ${quoted(namespace)}`;
}

function writeKubevirt(options: ManifestOptions): string {
  const { image, name, sysctls } = options;
  const nad = sysctls ? `\n          ${NAD_LINE}` : "";
  return `\
# The registration of the binding "${name}": a patch of the KubeVirt resource, not a resource to
# apply. As a merge patch it leaves other plugins and everything else as they are:
#
#   ${patchCommand(options, "merge", "kubevirt")}
#
# KubeVirt 1.1 to 1.4 need the feature gate of gate.yaml as well. Where the HyperConverged operator
# manages the KubeVirt resource, make the change in the HyperConverged resource: patches are undone.
# Pods that run already keep what they have.
${kubevirtHeader(options)}
spec:
  configuration:
    network:
      binding:
        ${quoted(name)}:
          sidecarImage: ${quotedImage(image)}
          # Present, even empty: VMs with this binding may be migrated while they run.
          migration: {}${nad}`;
}

function writeGate(options: ManifestOptions): string {
  return `\
# KubeVirt 1.1 to 1.4 only: the feature gate for network binding plugins (always on since 1.5).
# A JSON patch that adds to the list; a KubeVirt resource without any list of gates refuses it, and
# wants the list in the registration instead.
#
#   ${patchCommand(options, "json", "gate")}
- op: add
  path: /spec/configuration/developerConfiguration/featureGates/-
  value: NetworkBindingPlugins`;
}

function writeResources(options: ManifestOptions): string {
  return `\
# CPU and memory of all sidecars of VMs, this one and others. In VMs with dedicated CPUs or
# guaranteed quality of service the limits are the requests as well, and where nothing is said they
# are 200m CPU and 64M memory: hardly more than this program takes when idle. Elsewhere nothing said
# means no limit.
#
# With a memory limit of 256 MiB, VMs of more than 1.4 GiB without huge pages have the link "client"
# in place of "vhost-user", as some of their memory may count as the sidecar's: an eighth of it has
# to be within the limit as well (docs/kubevirt.md, "Guest memory").
#
# A merge patch replaces a whole list: if yours has entries already, see
#   kubectl get kubevirt ${options.kubevirt} --namespace ${options.namespace} \\
#     --output jsonpath='{.spec.configuration.supportContainerResources}'
# and add them here before
#   ${patchCommand(options, "merge", "resources")}
${kubevirtHeader(options)}
spec:
  configuration:
    supportContainerResources:
      - type: sidecar
        resources:
          requests:
            cpu: 50m
            memory: 96Mi
          limits:
            cpu: 500m
            memory: 256Mi`;
}

function writeNad({ sysctls }: ManifestOptions): string {
  const how = sysctls
    ? `# The registration names it: "${NAD_LINE}".`
    : `# The registration has to name it, as "slirp-binding manifests --sysctls" prints it, beside
# "sidecarImage": "${NAD_LINE}".`;
  return `\
# Optional: lets a sidecar without privileges listen on ports below 1024 and ping. The CNI plugin
# "kubevirt-passt-binding" of KubeVirt does nothing but set net.ipv4.ip_unprivileged_port_start to 0
# and net.ipv4.ping_group_range to "107 107" in the pod's network namespace; it works with any
# binding. It needs Multus, and the plugin on every node (its image, from KubeVirt 1.6 on:
# quay.io/kubevirt/network-passt-binding-cni). Many container runtimes set the first one anyway.
#
${how}
#
#   kubectl apply --filename nad.yaml
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata:
  name: ${NAD.name}
  namespace: ${NAD.namespace}
spec:
  config: |
    {
      "cniVersion": "1.0.0",
      "name": "${NAD.name}",
      "plugins": [{ "type": "kubevirt-passt-binding" }]
    }`;
}

function writeVm({ name }: ManifestOptions): string {
  return `\
# A virtual machine on the pod network by the binding "${name}", with port 80 open from outside:
# what arrives at the pod's port 80 goes to the guest's. Ports that are not listed are closed; with
# none listed, all are. Interface and network have the same name.
#
#   kubectl apply --filename vm.yaml
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: ${VM_NAME}
  labels:
    kubevirt.io/vm: ${VM_NAME}
spec:
  runStrategy: Always
  template:
    metadata:
      labels:
        kubevirt.io/vm: ${VM_NAME}
    spec:
      domain:
        devices:
          disks:
            - name: containerdisk
              disk:
                bus: virtio
            - name: cloudinitdisk
              disk:
                bus: virtio
          interfaces:
            - name: slirpnet
              binding:
                name: ${quoted(name)}
              ports:
                - name: http
                  port: 80
          rng: {}
        resources:
          requests:
            memory: 1024M
      networks:
        - name: slirpnet
          pod: {}
      terminationGracePeriodSeconds: 0
      volumes:
        - name: containerdisk
          containerDisk:
            image: quay.io/kubevirt/fedora-with-test-tooling-container-disk:v1.1.0
        - name: cloudinitdisk
          cloudInitNoCloud:
            networkData: |
              version: 2
              ethernets:
                eth0:
                  dhcp4: true`;
}
