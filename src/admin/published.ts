/**
 * Ports of the host that reach a guest: listed, published and removed while a network runs.
 *
 * What needs only options is checked here, all else by the worker, which has the sockets
 * (`binding/port-desk.ts`). A port that somebody has is refused with who that is, as far as /proc
 * tells; it is looked for here, where no packet waits.
 */

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { PublishedRow, TakenPort } from "../binding/requests.ts";
import { quote } from "../config/errors.ts";
import { checkPublishGuests, checkPublishVersions, clashesWith } from "../config/publish-checks.ts";
import { formatHost, formatRule, type PublishRule, parsePublish } from "../config/publish-rule.ts";
import { parsePublished } from "../config/published-ports.ts";
import { findPortOwner, ownerText } from "../sys/port-owner.ts";
import {
  type AddPublishedRequest,
  type AddPublishedResponse,
  AddPublishedResponseSchema,
  type ListPublishedRequest,
  type ListPublishedResponse,
  ListPublishedResponseSchema,
  type PublishedPort,
  PublishedPortSchema,
  type RemovePublishedRequest,
  type RemovePublishedResponse,
  RemovePublishedResponseSchema,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import { networksOf, networkToChange } from "./networks.ts";
import type { AdminProgram } from "./program.ts";

export async function listPublished(
  program: AdminProgram,
  { network }: ListPublishedRequest,
): Promise<ListPublishedResponse> {
  const networks = networksOf(program.networks(), network);
  const lists = networks.map(async ({ name, binding }) => {
    const rows = await binding.ask("published", null);
    return rows.map((row) => viewRow(name, row));
  });
  const ports = (await Promise.all(lists)).flat();
  return create(ListPublishedResponseSchema, { ports });
}

/** @throws ConfigError, RequestError, ConnectError as refused */
export async function addPublished(
  program: AdminProgram,
  { network: wanted, rule: text }: AddPublishedRequest,
): Promise<AddPublishedResponse> {
  const network = networkToChange(program.networks(), wanted);
  const rule = parsePublish(text);
  checkPublishVersions([rule], network.options.network);
  checkPublishGuests([rule], network.options.network);
  const answer = await network.binding.ask("publish", rule);
  if ("taken" in answer) {
    const owner = await whoHas(program, rule, answer);
    const port = quote(`${formatHost(rule)}:${answer.taken}/${rule.protocol}`);
    throw new ConnectError(`port ${port} is in use: ${owner}`, Code.FailedPrecondition);
  }
  network.ports?.add(rule);
  return create(AddPublishedResponseSchema, { ports: [viewRow(network.name, answer)] });
}

/** Who has a port that is in use: another network of this program, or another process. */
async function whoHas(
  program: AdminProgram,
  rule: PublishRule,
  { taken, at }: TakenPort,
): Promise<string> {
  const owner = findPortOwner(rule.protocol, at, taken);
  if (owner === undefined) return "nothing in /proc tells by whom";
  if (owner.process?.isOwn !== true) return ownerText(owner);
  for (const { name, binding } of program.networks()) {
    const rows = await binding.ask("published", null);
    const [clash] = clashesWith(
      rows.map((row) => row.rule),
      rule,
    );
    if (clash !== undefined) return `published by ${quote(formatRule(clash))} of ${quote(name)}`;
  }
  return ownerText(owner);
}

/** @throws ConfigError, RequestError, ConnectError as refused */
export async function removePublished(
  program: AdminProgram,
  { network: wanted, rule: text }: RemovePublishedRequest,
): Promise<RemovePublishedResponse> {
  const network = networkToChange(program.networks(), wanted);
  const what = parsePublished(text);
  const rows: PublishedRow[] = [];
  for (let isWhole = false; !isWhole; ) {
    const answer = await network.binding.ask("unpublish", what);
    rows.push(...answer.rows);
    isWhole = answer.isWhole;
  }
  network.ports?.remove(what);
  const ports = rows.map((row) => viewRow(network.name, row));
  return create(RemovePublishedResponseSchema, { ports });
}

function viewRow(
  network: string,
  { rule, isAdded, isListening, flows }: PublishedRow,
): PublishedPort {
  const { protocol, hostPort, guestAddress, guestPort, count = 1 } = rule;
  const plain = (text: string): string => text.replace(/^\[(.*)\]$/, "$1");
  return create(PublishedPortSchema, {
    network,
    protocol,
    hostAddress: plain(formatHost(rule)),
    hostPort,
    guestAddress: guestAddress === undefined ? "" : plain(guestText(guestAddress)),
    guestPort,
    isAdded,
    isListening,
    flows,
    count,
  });
}

function guestText(hostAddress: NonNullable<PublishRule["guestAddress"]>): string {
  return formatHost({ hostAddress });
}
