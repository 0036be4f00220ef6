/** `publish`: ports of the host that reach the guest. */
import type { PublishedPort } from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { PublishQuestion } from "../../config/steer.ts";
import { type Asked, jsonLine } from "./asked.ts";
import { type Column, tableLines } from "./table.ts";
import { endText } from "./units.ts";

const COLUMNS: readonly Column<PublishedPort>[] = [
  { title: "PROTOCOL", cell: ({ protocol }) => protocol, leave: 2 },
  { title: "HOST", cell: ({ hostAddress, hostPort }) => endText(hostAddress, hostPort) },
  { title: "GUEST", cell: guestText },
  { title: "STATE", cell: stateText },
  { title: "FLOWS", cell: ({ flows }) => String(flows), isRight: true, leave: 1 },
  { title: "SINCE", cell: ({ isAdded }) => (isAdded ? "added" : "start"), leave: 3 },
  { title: "INTERFACE", cell: ({ network }) => network, leave: 4 },
];

export async function publish(question: PublishQuestion, asked: Asked): Promise<void> {
  const { calls, output, signal } = asked;
  const { network, action, rules, json } = question;
  const ports: PublishedPort[] = [];
  try {
    if (action === "list") {
      ports.push(...(await calls.listPublished({ network }, { signal })).ports);
    }
    for (const rule of rules) {
      const answer =
        action === "add"
          ? await calls.addPublished({ network, rule }, { signal })
          : await calls.removePublished({ network, rule }, { signal });
      ports.push(...answer.ports);
    }
  } finally {
    // What was carried out is told where a later rule is refused, too.
    const lines = json
      ? ports.map((port) => jsonLine(portRecord(port)))
      : tableLines(COLUMNS, ports, output.columns()).map((line) => `${line}\n`);
    if (ports.length > 0) {
      if (action === "remove" && !json) asked.note("removed:");
      await output.write(lines.join(""));
    }
  }
  if (ports.length === 0) asked.note("no published ports");
}

function guestText({ guestAddress, guestPort }: PublishedPort): string {
  return guestAddress === "" ? `port ${guestPort}` : endText(guestAddress, guestPort);
}

function stateText({ isListening }: PublishedPort): string {
  return isListening ? "listening" : "no guest";
}

function portRecord(port: PublishedPort): object {
  return {
    network: port.network,
    protocol: port.protocol,
    host_address: port.hostAddress,
    host_port: port.hostPort,
    guest_address: port.guestAddress,
    guest_port: port.guestPort,
    is_added: port.isAdded,
    is_listening: port.isListening,
    flows: port.flows,
  };
}
