/**
 * Debian packages that the end-to-end tests and benchmarks drive. Installed when this runs as root
 * on a Debian system; elsewhere the tests that need them say so and are skipped.
 */
import fs from "node:fs";
import process from "node:process";
import { isMain, main, run } from "./shell.mjs";

/** Package -> a file it installs. */
const PACKAGES = {
  atftp: "/usr/bin/atftp",
  buildah: "/usr/bin/buildah",
  curl: "/usr/bin/curl",
  "dnsmasq-base": "/usr/sbin/dnsmasq",
  e2fsprogs: "/usr/sbin/mkfs.ext4",
  ethtool: "/usr/sbin/ethtool",
  gcc: "/usr/bin/cc",
  "golang-go": "/usr/bin/go",
  "golang-google-grpc-dev": "/usr/share/gocode/src/google.golang.org/grpc",
  iperf3: "/usr/bin/iperf3",
  "isc-dhcp-client": "/usr/sbin/dhclient",
  "libc6-dev": "/usr/include/stdio.h",
  iproute2: "/usr/sbin/ip",
  "iputils-ping": "/usr/bin/ping",
  // The lwIP of Debian, which is a guest.
  "liblwip-dev": "/usr/include/lwip/lwip/init.h",
  // The daemon alone: libvirt-daemon-system would also start one for the whole machine.
  "libvirt-clients": "/usr/bin/virsh",
  "libvirt-daemon": "/usr/sbin/libvirtd",
  "ipxe-qemu": "/usr/lib/ipxe/qemu/efi-virtio.rom",
  ovmf: "/usr/share/OVMF/OVMF_CODE_4M.fd",
  passt: "/usr/bin/pasta",
  "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
  radvdump: "/usr/sbin/radvdump",
  slirp4netns: "/usr/bin/slirp4netns",
  strace: "/usr/bin/strace",
  tcpdump: "/usr/bin/tcpdump",
  "tftp-hpa": "/usr/bin/tftp",
  traceroute: "/usr/sbin/traceroute",
  tshark: "/usr/bin/tshark",
  "u-boot-qemu": "/usr/lib/u-boot/qemu-x86/u-boot.rom",
  udhcpc: "/usr/sbin/udhcpc",
};

function present(file) {
  return [file, file.replace("/usr/", "/"), file.replace("/sbin/", "/bin/")].some(fs.existsSync);
}

function canInstall() {
  return process.getuid?.() === 0 && fs.existsSync("/usr/bin/apt-get");
}

/**
 * Installs what is missing of `packages`, by default of what tests and benchmarks need. A failure
 * is reported, not thrown: the tests' skips tell the rest.
 */
export async function systemPackages(packages = PACKAGES) {
  const missing = Object.keys(packages).filter((name) => !present(packages[name]));
  if (missing.length === 0) return;
  if (!canInstall()) {
    process.stderr.write(`system packages: not installed: ${missing.join(" ")}\n`);
    return;
  }
  process.stderr.write(`system packages: installing ${missing.join(" ")}\n`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "-y", "--no-install-recommends", ...missing];
  for (const args of [["update"], install]) {
    const { code, output } = await run("apt-get", ["-q", ...args], { env, quiet: true });
    if (code !== 0) process.stderr.write(`system packages: apt-get ${args[0]} failed\n${output}\n`);
  }
}

if (isMain(import.meta.filename)) main(systemPackages);
