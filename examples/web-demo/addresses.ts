/**
 * Names and addresses that guest, page and servers of the demonstration agree on. They are out of
 * ranges that are kept for documentation: whoever else's they were, nothing would reach them.
 */

/** Of the HTTP server, as the guest knows it. */
export const WEB_NAME = "web.demo.test";
export const WEB_ADDRESS = "203.0.113.80";
/** Of the server that returns what it gets, with a prompt: a stream as a remote shell has it. */
export const SHELL_NAME = "shell.demo.test";
export const SHELL_ADDRESS = "203.0.113.22";
export const SHELL_PORT = 22;
/** Where the guest's own HTTP server listens. */
export const SERVICE_PORT = 8080;
