/** What of the kernel is used where it is there, and whether it is: tried out, so that a filter of
 * system calls shows too. Source: epoll_pwait2(2), udp(7), process_vm_readv(2). */
import { ENOSYS, EPERM } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { openUdp, setOption, setUdpGro } from "./socket.ts";

const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const NO_FD = -1;

/** Names of those that are not to be had. */
export function missingFeatures(sys: Libc): string[] {
  const { address } = sys.scratch;
  sys.scratch.setU64(0, 0);
  sys.scratch.setU64(8, 0);
  const isRefused = (result: number): boolean => result === -ENOSYS || result === -EPERM;
  const missing: string[] = [];
  if (isRefused(sys.epoll_pwait2(NO_FD, address, 1, address))) {
    missing.push("waiting by the microsecond (epoll_pwait2)");
  }
  if (isRefused(sys.process_vm_readv(sys.getpid(), address, 0, address, 0))) {
    missing.push("unsealed guest memory (process_vm_readv)");
  }
  const fd = openUdp(sys);
  if (fd >= 0) {
    if (setOption(sys, fd, SOL_UDP, UDP_SEGMENT, 1200) < 0) missing.push("UDP_SEGMENT");
    if (setUdpGro(sys, fd, true) < 0) missing.push("UDP_GRO");
    sys.close(fd);
  }
  return missing;
}
