/** What the main thread and the worker of a guest network say to each other. */
import type { BindingOptions } from "../config/attach.ts";
import type { StreamEndpoint } from "../config/endpoint.ts";
import type { PeerSocketOptions } from "../link/peer-socket.ts";
import type { TapLinkOptions } from "../link/tap.ts";
import type { Lifeline } from "../sys/lifeline.ts";
import type { NetworkEvent } from "./events.ts";
import type { SharedOutputs } from "./outputs.ts";
import type { Reply } from "./requests.ts";
import type { RoomKnown } from "./room.ts";

/** The link's outer end, as the main thread has opened it. */
export type WorkerLink =
  | { readonly kind: "tap"; readonly device: TapLinkOptions }
  | { readonly kind: "stream" | "vhost-user"; readonly at: PeerSocketOptions["at"] };

/** What the main thread sends to start. */
export interface WorkerStart {
  readonly options: BindingOptions;
  readonly link: WorkerLink;
  /** Of a link with a socket. */
  readonly endpoint: StreamEndpoint | undefined;
  readonly seed: readonly number[];
  /** User whose program this is. */
  readonly uid: number;
  readonly mailbox: SharedArrayBuffer;
  /** Of a `HiddenPorts`. */
  readonly hiddenPorts: SharedArrayBuffer;
  /** Descriptor of the eventfd that announces commands. */
  readonly controlFd: number;
  /** Where log, capture and recording go. */
  readonly outputs: SharedOutputs;
  readonly room: RoomKnown;
  /** Of a `ResolvReader`, if there is one. */
  readonly resolv: SharedArrayBuffer | undefined;
  /** Of `Meters`, where somebody watches. */
  readonly meters: SharedArrayBuffer | undefined;
  /** Rings of captures that are asked for meanwhile. */
  readonly captures: readonly SharedArrayBuffer[];
  /** Ring of requests for the desk. */
  readonly requests: SharedArrayBuffer;
  /** What ends it besides a command, as the main thread has opened it. */
  readonly lifelines: readonly Lifeline[];
}

/** What the worker says. */
export type WorkerMessage =
  | { readonly kind: "ready" }
  /** There is something in the rings of `outputs`. */
  | { readonly kind: "output" }
  /** resolv.conf is to be read by who may. */
  | { readonly kind: "resolv" }
  /** Look into the mailbox how the peers are. */
  | { readonly kind: "peers" }
  /** The guest has worked and rests now. */
  | { readonly kind: "rest" }
  /** Counters have been published. */
  | { readonly kind: "counters" }
  /** The capture of a slot goes no further. */
  | { readonly kind: "capture-ended"; readonly slot: number }
  | { readonly kind: "reply"; readonly reply: Reply }
  | { readonly kind: "event"; readonly event: NetworkEvent }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly message: string; readonly isLinkGone: boolean };
