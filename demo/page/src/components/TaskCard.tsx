import { memo } from "react";

import type { Task } from "../board";
import { hoursText } from "../dates";
import { Avatar } from "./Avatar";
import { Due } from "./Due";
import { Icon } from "./Icon";
import { Tags } from "./Tags";

interface Props {
  task: Task;
  done: boolean;
  changed: boolean;
}

/** One task on the board. It is drawn again only when something in it, or in what it shows of others, changed. */
export const TaskCard = memo(function TaskCard({ task, done, changed }: Props) {
  const ticked = task.checklist.filter((item) => item.done).length;
  return (
    <a className={changed ? "card changed" : "card"} href={`#task-${task.id}`} data-task={task.id}>
      <Tags labels={task.labels} />
      <h3>{task.title}</h3>
      {task.checklist.length > 0 && (
        <div className="ticked" title={`${ticked} of ${task.checklist.length} points are done`}>
          <Progress value={ticked} of={task.checklist.length} />
          <span className="fact">
            {ticked}/{task.checklist.length}
          </span>
        </div>
      )}
      {hasFacts(task) && <Facts task={task} done={done} />}
    </a>
  );
});

function hasFacts(task: Task): boolean {
  return Boolean(task.due_date || task.estimate || task.comments.length || task.assignee);
}

function Facts({ task, done }: Pick<Props, "task" | "done">) {
  return (
    <div className="facts">
      {task.due_date && <Due date={task.due_date} done={done} />}
      {task.estimate && (
        <span className="fact" title="Estimate">
          <Icon name="clock" />
          {hoursText(task.estimate)}
        </span>
      )}
      {task.comments.length > 0 && (
        <span className="fact" title={`${task.comments.length} comments`}>
          <Icon name="comment" />
          {task.comments.length}
        </span>
      )}
      {task.assignee && <Avatar person={task.assignee} />}
    </div>
  );
}

export function Progress({ value, of }: { value: number; of: number }) {
  return (
    <div className={value === of ? "progress complete" : "progress"} aria-hidden="true">
      <span style={{ width: `${(100 * value) / of}%` }} />
    </div>
  );
}
