/**
 * Debian packages that the end-to-end tests and benchmarks drive. Installed when this runs as root
 * on a Debian system; elsewhere the tests that need them say so and are skipped.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { inRoot, isMain, main, run } from "./shell.mjs";

/** Package -> a file it installs. */
const PACKAGES = {
  atftp: "/usr/bin/atftp",
  buildah: "/usr/bin/buildah",
  chromium: "/usr/bin/chromium",
  curl: "/usr/bin/curl",
  "dnsmasq-base": "/usr/sbin/dnsmasq",
  e2fsprogs: "/usr/sbin/mkfs.ext4",
  ethtool: "/usr/sbin/ethtool",
  fish: "/usr/bin/fish",
  // Whatever the page is written in; a system without any font shows boxes.
  "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
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
  "man-db": "/usr/bin/man",
  make: "/usr/bin/make",
  mandoc: "/usr/bin/mandoc",
  passt: "/usr/bin/pasta",
  "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
  radvdump: "/usr/sbin/radvdump",
  slirp4netns: "/usr/bin/slirp4netns",
  socat: "/usr/bin/socat",
  strace: "/usr/bin/strace",
  tcpdump: "/usr/bin/tcpdump",
  "tftp-hpa": "/usr/bin/tftp",
  traceroute: "/usr/sbin/traceroute",
  tshark: "/usr/bin/tshark",
  "u-boot-qemu": "/usr/lib/u-boot/qemu-x86/u-boot.rom",
  udhcpc: "/usr/sbin/udhcpc",
  // wasm2c, with which the engine becomes C.
  wabt: "/usr/bin/wasm2c",
  zsh: "/usr/bin/zsh",
};

/**
 * Package -> the one file of it that is used, taken out of the package and put into `build/tools`:
 * to install the package would start a service.
 */
const SINGLE_FILES = { prometheus: "usr/bin/promtool" };
const TOOLS = inRoot("build/tools");

function present(file) {
  return [file, file.replace("/usr/", "/"), file.replace("/sbin/", "/bin/")].some(fs.existsSync);
}

function canInstall() {
  return process.getuid?.() === 0 && fs.existsSync("/usr/bin/apt-get");
}

async function takeOut(name, file) {
  const target = path.join(TOOLS, path.basename(file));
  if (fs.existsSync(target)) return;
  process.stderr.write(`system packages: taking ${file} out of ${name}\n`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "slirp-package-"));
  try {
    // What apt downloads as root it writes as a user of its own.
    fs.chmodSync(folder, 0o777);
    const fetch = ["-c", 'cd "$1" && apt-get -q download "$2"', "sh", folder, name];
    const download = () => run("sh", fetch, { quiet: true });
    let fetched = await download();
    if (fetched.code !== 0) {
      await run("apt-get", ["-q", "update"], { quiet: true }); // no lists, or old ones
      fetched = await download();
    }
    const [archive] = fs.readdirSync(folder).filter((each) => each.endsWith(".deb"));
    if (archive === undefined) throw new Error(fetched.output);
    const unpack = ["-x", path.join(folder, archive), path.join(folder, "tree")];
    const unpacked = await run("dpkg-deb", unpack, { quiet: true });
    if (unpacked.code !== 0) throw new Error(unpacked.output);
    fs.mkdirSync(TOOLS, { recursive: true });
    fs.copyFileSync(path.join(folder, "tree", file), `${target}.new`);
    fs.renameSync(`${target}.new`, target);
  } catch (error) {
    process.stderr.write(`system packages: ${name}: ${error.message}\n`);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Installs all that tests and benchmarks need, and takes out what is used alone. */
export async function testPackages() {
  await systemPackages();
  if (!canInstall()) return;
  for (const [name, file] of Object.entries(SINGLE_FILES)) await takeOut(name, file);
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

if (isMain(import.meta.filename)) main(testPackages);
