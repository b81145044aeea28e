/** A TCP connection to a server that can be cut, and is then as dead as in a train's tunnel. */

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Tunnel {
  /** Open connections: the client's end → the server's. */
  ends = new Map();
  kept = new Set();

  static async to(port) {
    const tunnel = new Tunnel();
    tunnel.target = port;
    tunnel.port = await freePort();
    await tunnel.open();
    return tunnel;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async open() {
    this.server = createServer((near) => this.join(near, connect(this.target, "127.0.0.1")));
    await once(this.server.listen(this.port, "127.0.0.1"), "listening");
  }

  join(near, far) {
    this.ends.set(near, far);
    for (const end of [near, far]) end.on("error", () => {}); // that is what tunnels are for
    near.pipe(far, { end: false });
    far.pipe(near);
    near.on("close", () => this.ends.delete(near) && !this.kept.has(far) && far.destroy());
    far.on("close", () => near.destroy());
  }

  /** Clients lose their connections, as when a phone changes networks; the server hears nothing of it. */
  loseClients() {
    for (const [near, far] of this.ends) {
      this.kept.add(far);
      near.unpipe(far);
      near.resetAndDestroy();
    }
  }

  /** Both ends lose their connection without a goodbye, and nobody gets through until `open`. */
  async cut() {
    const closed = this.server.listening && once(this.server, "close");
    this.server.close();
    for (const end of [...this.ends.keys(), ...this.ends.values(), ...this.kept]) end.resetAndDestroy();
    this.kept.clear();
    await closed;
  }
}

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
