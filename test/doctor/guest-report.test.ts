/** A guest's report: what of its words is kept. Whatever else it says must not get through. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseGuestReport, REPORT_SIZE_MAX } from "../../src/doctor/guest-report.ts";

const WHOLE = `ok       default route: default via 10.0.2.2 dev eth0
report   dev=eth0
report   address=10.0.2.15/24
report   gateway=10.0.2.2
report   gateway_mac=52:55:0A:00:02:02
report   mtu=1500
report   dns=10.0.2.3
report   dns=127.0.0.53
report   tx_packets=120
report   rx_packets=99\r
`;
const NOTHING = {
  dev: undefined,
  address: undefined,
  gateway: undefined,
  gatewayMac: undefined,
  mtu: undefined,
  dns: [],
  sent: undefined,
  received: undefined,
};

describe("doctor/guest-report", () => {
  test("is read from the lines of the script that are for it", () => {
    assert.deepEqual(parseGuestReport(WHOLE), {
      dev: "eth0",
      address: "10.0.2.15",
      gateway: "10.0.2.2",
      gatewayMac: "52:55:0a:00:02:02",
      mtu: 1500,
      dns: ["10.0.2.3", "127.0.0.53"],
      sent: 120,
      received: 99,
    });
    assert.equal(parseGuestReport("ok       all is well\n"), undefined);
  });

  test("keeps nothing of another form, key or line", () => {
    const hostile = [
      ...["dev=$(reboot)", "dev=a b", "dev=eth0;id", "address=10.0.2.15", "address=10.0.2.15/24;x"],
      ...["gateway=`id`", "gateway_mac=52:55", "mtu=-1", "mtu=1e9", "mtu=9999999999999999"],
      ...[
        "dns=example.com",
        "tx_packets=0x10",
        "rx_packets=\u001b[2J",
        "__proto__=1",
        "toString=1",
      ],
    ].map((each) => `report   ${each}\n`);
    assert.equal(parseGuestReport(hostile.join("")), undefined);
    const { dns, ...rest } = parseGuestReport(`${hostile.join("")}report dns=::1\n`) ?? NOTHING;
    assert.deepEqual({ ...rest, dns: [] }, NOTHING);
    assert.deepEqual(dns, ["::1"]);
  });

  test("the first value counts, three resolvers at most, and no more than it may be long", () => {
    const many = Array.from({ length: 50 }, (_, i) => `report dns=10.0.0.${i}\n`).join("");
    const said = parseGuestReport(`${many}report mtu=1\nreport mtu=2\n`);
    assert.deepEqual([said?.dns, said?.mtu], [["10.0.0.0", "10.0.0.1", "10.0.0.2"], 1]);
    assert.equal(parseGuestReport(`${"x".repeat(REPORT_SIZE_MAX)}\nreport mtu=1\n`), undefined);
  });
});
