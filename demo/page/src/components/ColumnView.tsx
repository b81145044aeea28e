import type { Column, Task } from "../board";
import { hoursText } from "../dates";
import { TaskCard } from "./TaskCard";

interface Props {
  column: Column;
  /** Those of its tasks that pass the filter. */
  tasks: Task[];
  done: boolean;
  changed: ReadonlySet<number>;
}

export function ColumnView({ column, tasks, done, changed }: Props) {
  const hours = tasks.reduce((sum, task) => sum + Number(task.estimate ?? 0), 0);
  return (
    <section className="column" aria-label={column.name} id={`column-${column.id}`}>
      <header>
        <h2>{column.name}</h2>
        <span className="count">{tasks.length}</span>
        {hours > 0 && !done && <span className="hours">{hoursText(hours)}</span>}
      </header>
      <div className="cards">
        {tasks.map((task) => (
          <TaskCard key={task.id} task={task} done={done} changed={changed.has(task.id)} />
        ))}
        {tasks.length === 0 && (
          <p className="nothing">{column.tasks.length > 0 ? "Nothing here matches" : "Nothing here"}</p>
        )}
      </div>
    </section>
  );
}
