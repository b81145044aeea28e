import { useEffect, useMemo, useState } from "react";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

import type { Start } from "./start";

/** A close code from 4400 to 4499: the server said no, and y-websocket does not try again. */
export interface Refusal {
  code: number;
  reason: string;
}

export interface Connection {
  doc: Y.Doc;
  live: boolean;
  /** Whether the whole document has been here once. */
  synced: boolean;
  refusal: Refusal | null;
  /** The ids of the people who have this board open. */
  present: ReadonlySet<number>;
}

const NOT_YET: Omit<Connection, "doc"> = { live: false, synced: false, refusal: null, present: new Set() };

/** A document by its name (`board/12`), followed for as long as the component is there. */
export function useConnection(name: string, user: Start["user"]): Connection {
  const doc = useMemo(() => new Y.Doc(), [name]);
  const [state, setState] = useState(NOT_YET);

  useEffect(() => {
    const change = (part: Partial<typeof NOT_YET>) => setState((old) => ({ ...old, ...part }));
    setState(NOT_YET);
    // Without BroadcastChannel each tab shows what came over its own socket, which is what a demo is to show.
    const provider = new WebsocketProvider(socketUrl(), name, doc, { disableBc: true, connect: false });
    provider.on("status", ({ status }) => change({ live: status === "connected" && provider.synced }));
    provider.on("sync", (synced) => synced && change({ live: true, synced: true }));
    provider.on("closed", ({ code, reason }) => change({ live: false, refusal: { code, reason } }));
    provider.awareness.on("change", () => change({ present: present(provider) }));
    provider.awareness.setLocalStateField("user", { id: user.id, name: user.name });
    provider.connect();
    return () => provider.destroy();
  }, [doc, name, user]);

  return { doc, ...state };
}

function socketUrl(): string {
  const { protocol, host } = window.location;
  return `${protocol === "https:" ? "wss" : "ws"}://${host}/ws`;
}

function present({ awareness }: WebsocketProvider): ReadonlySet<number> {
  const ids = [...awareness.getStates().values()].map((state) => (state["user"] as Start["user"] | undefined)?.id);
  return new Set(ids.filter((id) => id !== undefined));
}
