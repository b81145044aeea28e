/** Stock clients: every release of y-websocket that is in use, over a WebSocket that notes what happens to it. */

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import * as v1_5 from "y-websocket-1.5.4";
import * as v2_1 from "y-websocket-2.1.0";
import * as v3_0 from "y-websocket-3.0.0";
import * as v3_1 from "y-websocket-3.1.0";
import WebSocket from "ws";
import * as Y from "yjs";

import { denormalize } from "./denormalize.js";
import { until } from "./waiting.js";

const PROVIDERS = {
  "1.5.4": v1_5.WebsocketProvider,
  "2.1.0": v2_1.WebsocketProvider,
  "3.0.0": v3_0.WebsocketProvider,
  "3.1.0": v3_1.WebsocketProvider,
};

export const VERSIONS = Object.keys(PROVIDERS);

process.setMaxListeners(100); // every provider listens to the end of the process

/** Clients that are open, so that one `closeAll` ends them whatever became of their test. */
const clients = new Set();

/** For `afterEach`. */
export function closeAll() {
  for (const client of clients) client.close();
}

export class Client {
  doc = new Y.Doc();
  /** How often a WebSocket was made; how each of them ended; every frame that came. */
  attempts = 0;
  closes = [];
  frames = [];

  /**
   * Opens `document` at a server's `url` (http). `headers` stand for what a browser sends by itself: cookies and
   * the Origin. `params` and `protocols` are the provider's own options.
   */
  constructor(version, url, document, { headers = {}, params = {}, protocols = [] } = {}) {
    const Provider = PROVIDERS[version];
    this.version = version;
    this.provider = new Provider(`${url.replace("http", "ws")}/ws`, document, this.doc, {
      params,
      protocols,
      WebSocketPolyfill: this.webSocket(headers, protocols),
      disableBc: true, // clients of one process would tell each other, past the server
    });
    // Releases before 3.1.0 do not know the event.
    this.provider.on("closed", (event) => (this.closed = event));
    clients.add(this);
  }

  webSocket(headers, protocols) {
    const client = this;
    return class extends WebSocket {
      // y-websocket 1.5.4 has no option for protocols; its users give it a WebSocket class that has.
      constructor(url, offered = protocols) {
        super(url, offered, { headers });
        client.attempts++;
        client.socket = this;
        this.on("message", (data) => client.frames.push(Buffer.from(data)));
        this.on("close", (code, reason) => client.closes.push({ code, reason: String(reason) }));
        this.on("error", (error) => (client.error = error));
      }
    };
  }

  get state() {
    return denormalize(this.doc);
  }

  /** All there is, reachable from the root or not. */
  get tables() {
    return Object.fromEntries([...this.doc.share.keys()].sort().map((name) => [name, this.doc.getMap(name).toJSON()]));
  }

  /** How many messages brought an update: type 0 (sync), subtype 2. The answer to a first sync has subtype 1. */
  get updates() {
    return this.frames.filter(([type, subtype]) => type === 0 && subtype === 2).length;
  }

  get awareness() {
    return this.provider.awareness;
  }

  /** Until the provider says that it has what the server has. */
  async synced() {
    await until(() => this.provider.synced, `${this} is in sync`);
    return this;
  }

  /** Until the nested state is what the serializer gives. Yjs keeps no order of names in a plain JSON object. */
  async shows(expected) {
    await until(() => isDeepStrictEqual(this.state, expected), "").catch(() => {});
    assert.deepStrictEqual(this.state, expected, `${this} differs from the serializer`);
  }

  close() {
    clients.delete(this);
    this.provider.destroy();
    this.socket.terminate();
    this.doc.destroy();
  }

  toString() {
    return `y-websocket ${this.version} on ${this.provider.roomname}`;
  }
}
