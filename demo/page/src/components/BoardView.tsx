import { useEffect, useState } from "react";

import type { Board, Task } from "../board";
import type { Start } from "../start";
import { useChanged } from "../useChanged";
import { useTaskInAddress } from "../useTaskInAddress";
import { ColumnView } from "./ColumnView";
import { Filters, NO_FILTER, passes } from "./Filters";
import { TaskDrawer } from "./TaskDrawer";

/** All columns of a board, side by side; on a phone one at a time, to swipe. */
export function BoardView({ board, user }: { board: Board; user: Start["user"] }) {
  const [filter, setFilter] = useState(NO_FILTER);
  const changed = useChanged(board);
  const [chosen, close] = useTaskInAddress();
  const open = chosen === null ? null : find(board, chosen);

  useEffect(() => {
    document.title = board.name;
  }, [board.name]);

  return (
    <>
      <Filters labels={board.labels} filter={filter} onChange={setFilter} />
      <main className="columns" tabIndex={-1}>
        {board.columns.map((column) => (
          <ColumnView
            key={column.id}
            column={column}
            tasks={column.tasks.filter((task) => passes(task, filter, user.id))}
            done={isLast(board, column.id)}
            changed={changed}
          />
        ))}
        {board.columns.length === 0 && (
          <p className="nothing wide">This board has no columns yet. They are added in the admin.</p>
        )}
      </main>
      {open && (
        <TaskDrawer
          key={open.task.id}
          task={open.task}
          column={open.column}
          done={open.done}
          editable={user.staff}
          onClose={close}
        />
      )}
    </>
  );
}

/** What reached the last column is done. */
function isLast(board: Board, column: number): boolean {
  return board.columns.length > 1 && board.columns.at(-1)?.id === column;
}

function find(board: Board, id: number): { task: Task; column: string; done: boolean } | null {
  for (const column of board.columns) {
    const task = column.tasks.find((candidate) => candidate.id === id);
    if (task) return { task, column: column.name, done: isLast(board, column.id) };
  }
  return null;
}
