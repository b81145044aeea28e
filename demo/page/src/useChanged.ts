import { useEffect, useRef, useState } from "react";

import type { Board, Task } from "./board";

const SHOWN_FOR = 2600; // milliseconds, as long as the animation in board.css

type Seen = Map<number, { task: Task; column: number }>;

/**
 * The ids of the tasks that changed, appeared or moved to another column a moment ago.
 *
 * A node in which nothing changed is the same object as before, so that comparing with `===` is enough.
 */
export function useChanged(board: Board): ReadonlySet<number> {
  const seen = useRef<Seen | null>(null);
  const timers = useRef(new Map<number, number>());
  const [changed, setChanged] = useState<ReadonlySet<number>>(new Set());

  useEffect(() => {
    const before = seen.current;
    seen.current = look(board);
    if (!before) return;
    const fresh = differences(before, seen.current);
    if (fresh.length === 0) return;
    setChanged((old) => new Set([...old, ...fresh]));
    for (const id of fresh) {
      window.clearTimeout(timers.current.get(id));
      const calm = () => setChanged((old) => new Set([...old].filter((other) => other !== id)));
      timers.current.set(id, window.setTimeout(calm, SHOWN_FOR));
    }
  }, [board]);

  return changed;
}

function look(board: Board): Seen {
  const tasks = board.columns.flatMap(({ id, tasks }) => tasks.map((task) => ({ task, column: id })));
  return new Map(tasks.map((entry) => [entry.task.id, entry]));
}

function differences(before: Seen, now: Seen): number[] {
  return [...now].flatMap(([id, { task, column }]) => {
    const old = before.get(id);
    return old?.task === task && old.column === column ? [] : [id];
  });
}
