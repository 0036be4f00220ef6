/** What the help of the commands that ask a running program says below their options. */

const CODES = `Ends with code 0, with 1 where something went wrong, with 2 for a command line that
cannot be meant, with 3 where there is no program to ask, or not any more.`;

/** What stands below the options of `instances`. */
export const INSTANCES_EPILOGUE = `
Examples:
  slirp-binding instances
  slirp-binding flows --instance blue

${CODES}`;

/** What stands below the options of `flows`. */
export const FLOWS_EPILOGUE = `
Examples:
  slirp-binding flows
  slirp-binding flows tcp and port 443 --sort bytes
  slirp-binding flows --state syn-sent
  slirp-binding flows --json | jq -r 'select(.waiting == "connect") | .host_address'
  slirp-binding flows --watch host 192.0.2.1

With --watch it runs until it is interrupted, and ends with code 0 then.
${CODES}`;

/** What stands below the options of `top`. */
export const TOP_EPILOGUE = `
Keys:
  q        end
  s        next order: octets a second, all octets, age, idle time, round trip, retransmissions
  r        the other way round
  p        pause, and go on
  arrows   scroll

${CODES}`;

/** What stands below the options of `stats`. */
export const STATS_EPILOGUE = `
Examples:
  slirp-binding stats
  slirp-binding stats drops
  slirp-binding stats 'tcp*established' --watch

docs/metrics.md says what each of them tells. With --watch it runs until it is interrupted.
${CODES}`;

/** What stands below the options of `events`. */
export const EVENTS_EPILOGUE = `
Examples:
  slirp-binding events
  slirp-binding events --watch --json | jq -r 'select(.kind == "guest_gone")'

With --watch it runs until it is interrupted.
${CODES}`;

/** What stands below the options of `drops`. */
export const DROPS_EPILOGUE = `
Examples:
  slirp-binding drops
  slirp-binding stats drops      # how many, by reason

${CODES}`;

/** What stands below the options of `log`. */
export const LOG_EPILOGUE = `
Examples:
  slirp-binding log -n 20
  slirp-binding log --follow

${CODES}`;

/** What stands below the options of `log-level`. */
export const LOG_LEVEL_EPILOGUE = `
Examples:
  slirp-binding log-level
  slirp-binding log-level debug

${CODES}`;

/** What stands below the options of `publish`. */
export const PUBLISH_EPILOGUE = `
Examples:
  slirp-binding publish
  slirp-binding publish add 8080:80 127.0.0.1:5353:53/udp
  slirp-binding publish remove 8080

Of several rules the first that is refused ends it; those before it are carried out.
${CODES}`;

/** What stands below the options of `capture`. */
export const CAPTURE_EPILOGUE = `
Examples:
  slirp-binding capture -w guest.pcapng
  slirp-binding capture tcp port 443 -w - | tshark -r -
  slirp-binding capture dropped --count 10 -w drops.pcapng
  slirp-binding capture udp port 53 --seconds 60 --on-instance /tmp/dns.pcapng
  slirp-binding capture --list
  slirp-binding capture --stop 1

An interrupt ends a capture, whose file is whole then, with code 0.
${CODES}`;
