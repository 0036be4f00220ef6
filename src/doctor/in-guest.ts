/**
 * `doctor --in-guest`: a script for a Linux guest's shell, where nothing of ours is installed. It
 * needs sh and ip; ping, and one of nslookup, getent, if they are there. It changes nothing.
 *
 * Each line says which counter of `--metrics` tells the same from outside. The lines at its end
 * that begin with "report" are for `guest-report.ts`, which compares them with a running program.
 */

export interface GuestExpectation {
  readonly gateway: string;
  readonly dns: string;
  readonly mtu: number;
}

/** The looks themselves: variables of the shell hold what is expected. */
const LOOKS = `say() { printf '%-9s%s\\n' "$1" "$2"; }
good() { say ok "$1"; }
bad() {
  problems=$((problems + 1))
  say problem "$1"
  printf '         try:  %s\\n         seen from outside: %s\\n' "$2" "$3"
}
has() { command -v "$1" >/dev/null 2>&1; }

route=$(ip -4 route show default 2>/dev/null | head -n 1)
dev=$(printf '%s\\n' "$route" | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')
if [ -z "$dev" ]; then
  bad 'there is no default route' 'dhclient, or: udhcpc -i IFACE' \\
    'slirp_local_replies_total{protocol="dhcp_ack"} counts leases'
  dev=$(ls /sys/class/net 2>/dev/null | grep -v '^lo$' | head -n 1)
else
  good "default route: $route"
  case $route in
  *" $gateway "*) ;;
  *) bad "the gateway is not $gateway" "ip route replace default via $gateway dev $dev" \\
    'slirp_drops_total{reason="not_for_us"} counts frames to others' ;;
  esac
fi

if [ -n "$dev" ] && [ "$(cat "/sys/class/net/$dev/carrier" 2>/dev/null)" != 1 ]; then
  bad "interface $dev has no carrier" "ip link set $dev up" \\
    'slirp_link_peer is 0 where QEMU has gone'
fi
address=$(ip -4 -o addr show dev "$dev" scope global 2>/dev/null | awk '{ print $4 }' | head -n 1)
if [ -n "$address" ]; then good "address: $address on $dev"
else bad "interface $dev has no IPv4 address" "dhclient $dev" \\
  'slirp_local_replies_total{protocol="dhcp_offer"} counts offers'; fi

own=$(cat "/sys/class/net/$dev/mtu" 2>/dev/null || echo 0)
if [ "$own" -le "$mtu" ]; then good "MTU: $own"
else bad "the MTU of $dev is $own, the link carries $mtu" "ip link set $dev mtu $mtu" \\
  'slirp_drops_total{reason="oversized"}'; fi

if has ping; then
  if ping -c 2 -W 2 "$gateway" >/dev/null 2>&1; then good "the gateway answers"
  else bad "the gateway $gateway does not answer a ping" "ip neigh flush dev $dev" \\
    'slirp_guest_receive_packets_total stands still where frames do not come out'; fi
fi

if grep -q "^nameserver[[:space:]]*$dns" /etc/resolv.conf 2>/dev/null; then
  good "resolver: $dns"
elif grep -q '^nameserver[[:space:]]*127\\.' /etc/resolv.conf 2>/dev/null; then
  good 'resolver: one in the guest, which asks others'
else
  bad "/etc/resolv.conf does not name $dns" "echo nameserver $dns >/etc/resolv.conf" \\
    'slirp_flows{kind="dns"} is 0'
fi
resolve() {
  if has getent; then getent hosts "$1" >/dev/null 2>&1
  elif has nslookup; then nslookup "$1" "$dns" >/dev/null 2>&1
  else return 0; fi
}
name=\${1:-example.com}
if resolve "$name"; then good "name: $name resolves"
else bad "$name does not resolve" "nslookup $name $dns" \\
  'slirp_local_replies_total{protocol="dns_failure"}, slirp_drops_total{reason="no_resolver"}'; fi

[ "$problems" = 0 ] && say ok 'all is well'

# For "slirp-binding doctor --guest-report FILE": what is compared with what the program has seen.
report() { [ -n "$2" ] && printf 'report   %s=%s\\n' "$1" "$2"; }
total() { cat "/sys/class/net/$dev/statistics/$1" 2>/dev/null; }
report dev "$dev"
report address "$address"
report gateway "$(printf '%s\\n' "$route" | sed -n 's/.* via \\([^ ]*\\).*/\\1/p')"
neighbor=$(ip -4 neigh show "$gateway" 2>/dev/null | head -n 1)
report gateway_mac "$(printf '%s\\n' "$neighbor" | sed -n 's/.*lladdr \\([^ ]*\\).*/\\1/p')"
report mtu "$own"
servers=$(awk '/^nameserver/ { print $2 }' /etc/resolv.conf 2>/dev/null | head -n 3)
for each in $servers; do
  report dns "$each"
done
report tx_packets "$(total tx_packets)"
report rx_packets "$(total rx_packets)"
exit "$problems"
`;

/** Ends with a line end. */
export function guestScript({ gateway, dns, mtu }: GuestExpectation): string {
  return `#!/bin/sh
# Made by "slirp-binding doctor --in-guest": paste it into a shell of the guest.
# It looks at the network from inside, changes nothing, and ends with the number of problems.
gateway=${gateway} dns=${dns} mtu=${mtu} problems=0
${LOOKS}`;
}
