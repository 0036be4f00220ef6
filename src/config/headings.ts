/** Headings of the help, under which options of several files stand. */

export const LINK = "Link, one of --tap, --listen, --connect and --vhost-user:";
export const NETWORK = "Guest network:";
export const HOST = "Host side:";
export const RUN = "Running:";
