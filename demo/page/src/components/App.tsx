import type * as Y from "yjs";

import type { Board } from "../board";
import type { Description } from "../denormalize";
import type { Start } from "../start";
import { useConnection, type Connection } from "../useConnection";
import { useDescription, useNested } from "../useDocument";
import { BoardView } from "./BoardView";
import { Header } from "./Header";
import { Notice, Others, RefusalNotice } from "./Notice";
import { Skeleton } from "./Skeleton";

export function App({ start }: { start: Start }) {
  return start.board === null ? <NoBoards start={start} /> : <BoardPage start={start} name={`board/${start.board}`} />;
}

function NoBoards({ start }: { start: Start }) {
  return (
    <>
      <Header start={start} board={{ name: "Boards", purpose: "", members: [] }} present={new Set()} live={false} synced={false} />
      <Notice title="You have no board yet">
        <p>Somebody has to add you to one{start.user.staff && ", which you can do yourself in the admin"}.</p>
      </Notice>
    </>
  );
}

function BoardPage({ start, name }: { start: Start; name: string }) {
  const connection = useConnection(name, start.user);
  const description = useDescription(connection.doc);
  if (connection.refusal) return <RefusalNotice refusal={connection.refusal} boards={start.boards} />;
  if (!connection.synced || !description) {
    return (
      <>
        <Header start={start} board={null} {...connection} />
        <Skeleton />
      </>
    );
  }
  // Another schema means other tables, and so another number of hooks.
  return <Live key={JSON.stringify(description.layers)} start={start} connection={connection} description={description} />;
}

interface LiveProps {
  start: Start;
  connection: Connection & { doc: Y.Doc };
  description: Description;
}

function Live({ start, connection, description }: LiveProps) {
  const board = useNested<Board>(connection.doc, description);
  if (!board) {
    return (
      <Notice title="This board was deleted">
        <Others boards={start.boards} />
      </Notice>
    );
  }
  return (
    <>
      <Header start={start} board={board} {...connection} />
      <BoardView board={board} user={start.user} />
    </>
  );
}
