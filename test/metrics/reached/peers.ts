/** What a link counts of its peers, and frames that it does not take: a scenario for each row. */
import { EPOLLIN } from "../../../src/sys/linux.ts";
import { STRANGER, Stage, TIMER } from "../../link/stream-stage.ts";
import { testFrame } from "../../link/suite.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import type { Found, Reading } from "./flows.ts";
import { engineRows } from "./rows.ts";

/** Peers that come and go at once before others have to wait. */
const ROW = 9;

/** Plays a scene at a stream link that listens; its row counts once. */
function scene(play: (stage: Stage) => void): Reading {
  return async (): Promise<Found> => {
    const stage = new Stage();
    play(stage);
    return { rows: await engineRows(new EngineWorld().engine, stage.link), value: 1 };
  };
}

function leave(stage: Stage): void {
  stage.socket.ended = true;
  stage.receive();
  stage.socket.ended = false;
}

export const PEER_ROWS: Readonly<Record<string, Reading>> = {
  slirp_link_peer: scene((stage) => stage.connect(10)),
  slirp_link_connections_total: scene((stage) => stage.connect(10)),
  'slirp_link_peers_closed_total{reason="taken"}': scene((stage) => {
    stage.connect(10);
    stage.speak();
    stage.connect(11);
  }),
  'slirp_link_peers_closed_total{reason="foreign"}': scene((stage) => {
    stage.uid = STRANGER;
    stage.connect(10);
  }),
  'slirp_link_peers_closed_total{reason="fleeting"}': scene((stage) => {
    stage.connect(10);
    leave(stage);
  }),
  'slirp_link_peers_closed_total{reason="silent"}': scene((stage) => {
    stage.connect(10);
    stage.connect(11);
    stage.now_us += 10e6;
    stage.link.event(TIMER, EPOLLIN);
  }),
  'slirp_link_peers_closed_total{reason="protocol"}': scene((stage) => {
    stage.connect(10);
    stage.now_us += 60e6; // so that it has not only come and gone
    stage.socket.feed(Uint8Array.of(0, 0, 0, 1));
    stage.receive();
  }),
  slirp_link_crowds_total: scene((stage) => {
    for (let fd = 10; fd <= 10 + ROW; fd += 1) {
      stage.connect(fd);
      leave(stage);
    }
  }),
  'slirp_drops_total{reason="link"}': scene((stage) => {
    stage.transmit(testFrame(60, 1));
  }),
};
