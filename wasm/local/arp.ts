/**
 * ARP: answers for the gateway and the DNS server, and learns where the guest is.
 *
 * Answered is whoever asks for an address of ours, even a probe from 0.0.0.0, which has to hear
 * that the address is taken (RFC 5227 §2.1.1), and a guest that announces our address as its own
 * (§2.4). Never answered: anything about another address - above all the guest's own, whose probe
 * an answer would turn into a conflict.
 *
 * Learnt, whatever the operation (RFC 826 looks at that last), is a sender inside the guest network
 * that is not us, whose unicast MAC is also the source of the frame.
 *
 * Source: RFC 826, RFC 5227 §2.1.1, RFC 1122 §2.3.2.
 */
import * as abi from "../abi/index";
import { isIpv6 } from "../flow/addresses";
import { frameCommit, gatewayMac, isOwnAddress, networkBroadcast, networkMask } from "../flow/emit";
import { neighborLearn } from "../flow/neighbor";
import { config } from "../memory";
import { txBegin } from "../ring";
import { count, drop } from "../stats";
import {
  addressInPrefix,
  addressIsUnusableSource,
  macIsGroup,
  PREFIX_LENGTH_BARE,
} from "../wire/addr";
import { ARP_REPLY, ARP_REQUEST, ARP_SIZE, ArpView, arpCheck, arpEmit } from "../wire/arp";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_ARP, EthernetView, ethernetEmit } from "../wire/ethernet";

/** Whether a neighbour may have this address: a host of the guest network other than us. */
function isNeighborAddress(address: u32): bool {
  const gateway = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  if (!addressInPrefix(address, gateway, config(abi.CONFIG_PREFIX_LENGTH_OFFSET))) return false;
  if (isOwnAddress(address) || addressIsUnusableSource(address)) return false;
  if (config(abi.CONFIG_PREFIX_LENGTH_OFFSET) >= PREFIX_LENGTH_BARE) return true;
  return address != networkBroadcast() && (address & ~networkMask()) != 0;
}

/** Tells the sender of `request` that its target address is at our MAC. */
function answer(request: ArpView): void {
  const ethernet = txBegin();
  if (ethernet == 0) return; // counted as DROP_TX_FULL
  const ours = gatewayMac();
  const theirs = request.senderMac;
  const arp = ethernet + ETHERNET_HEADER_SIZE;
  ethernetEmit(ethernet, theirs, ours, ETHERTYPE_ARP);
  arpEmit(arp, ARP_REPLY, ours, request.targetAddress, theirs, request.senderAddress);
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + ARP_SIZE, 0);
  count(abi.STAT_ARP_REPLIES);
  count(abi.STAT_CONSUMED_LOCAL);
}

/** Takes an ARP frame of `length` octets, its Ethernet header at `frame`. `now` in microseconds. */
export function arpInput(frame: usize, length: u32, now: i64): void {
  const packet = frame + ETHERNET_HEADER_SIZE;
  if (length < ETHERNET_HEADER_SIZE || !arpCheck(packet, length - ETHERNET_HEADER_SIZE)) {
    drop(abi.DROP_ARP_MALFORMED);
    return;
  }
  const arp = ArpView.at(packet);
  const mac = arp.senderMac;
  const sender = arp.senderAddress;
  const target = arp.targetAddress;
  if (mac == 0 || macIsGroup(mac)) {
    drop(abi.DROP_ARP_MALFORMED);
    return;
  }
  const isProbe = sender == 0;
  const isForeign = mac != EthernetView.at(frame).source || mac == gatewayMac();
  if (isForeign || (!isProbe && addressIsUnusableSource(sender))) {
    drop(abi.DROP_ARP_IGNORED);
    return;
  }
  const operation = arp.operation;
  if (operation != ARP_REQUEST && operation != ARP_REPLY) {
    drop(abi.DROP_ARP_IGNORED);
    return;
  }
  const isLearnt = isNeighborAddress(sender);
  if (isLearnt) neighborLearn(sender, mac, now);
  if (operation == ARP_REQUEST && !isIpv6(target) && isOwnAddress(target)) {
    answer(arp);
    return;
  }
  // An answer, or an announcement (sender and target the same), did its work by being learnt.
  if (isLearnt && (operation == ARP_REPLY || sender == target)) count(abi.STAT_CONSUMED_LOCAL);
  else drop(abi.DROP_ARP_IGNORED);
}
