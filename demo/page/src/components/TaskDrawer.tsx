import { useEffect, useRef } from "react";

import type { Comment, Task } from "../board";
import { agoText, hoursText } from "../dates";
import { Avatar } from "./Avatar";
import { Due } from "./Due";
import { Icon } from "./Icon";
import { Tags } from "./Tags";
import { Progress } from "./TaskCard";

interface Props {
  task: Task;
  column: string;
  done: boolean;
  /** Whether this user may change it, in the admin. */
  editable: boolean;
  onClose: () => void;
}

/** Everything about one task, beside the board; over it on a phone. It stays live while it is open. */
export function TaskDrawer({ task, column, done, editable, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);

  return (
    <dialog
      ref={dialog}
      className="drawer"
      aria-labelledby="drawer-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
    >
      <article>
        <header>
          <span className="where">{column}</span>
          {editable && (
            <a className="quiet" href={`/admin/boards/task/${task.id}/change/`} target="_blank" rel="noreferrer">
              <Icon name="edit" /> Edit in the admin
            </a>
          )}
          <button className="round" onClick={() => dialog.current?.close()} aria-label="Close">
            <Icon name="close" />
          </button>
        </header>
        <h2 id="drawer-title">{task.title}</h2>
        <Tags labels={task.labels} />
        <Facts task={task} done={done} />
        {task.description && <p className="description">{task.description}</p>}
        {task.checklist.length > 0 && <Checklist task={task} />}
        <Comments comments={task.comments} />
      </article>
    </dialog>
  );
}

function Facts({ task, done }: { task: Task; done: boolean }) {
  return (
    <dl className="facts-list">
      <dt>Assigned to</dt>
      <dd>
        {task.assignee ? (
          <>
            <Avatar person={task.assignee} /> {task.assignee.name}
          </>
        ) : (
          <span className="nothing">Nobody yet</span>
        )}
      </dd>
      <dt>Due</dt>
      <dd>{task.due_date ? <Due date={task.due_date} done={done} /> : <span className="nothing">No date</span>}</dd>
      <dt>Estimate</dt>
      <dd>{task.estimate ? hoursText(task.estimate) : <span className="nothing">Not estimated</span>}</dd>
    </dl>
  );
}

function Checklist({ task }: { task: Task }) {
  const ticked = task.checklist.filter((item) => item.done).length;
  return (
    <section>
      <h4>
        Checklist
        <span className="count">
          {ticked} of {task.checklist.length}
        </span>
      </h4>
      <Progress value={ticked} of={task.checklist.length} />
      <ul className="checklist">
        {task.checklist.map((item) => (
          <li key={item.id} className={item.done ? "done" : undefined}>
            <span className="box" role="img" aria-label={item.done ? "Done" : "Open"}>
              {item.done && <Icon name="check" />}
            </span>
            {item.text}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Comments({ comments }: { comments: Comment[] }) {
  return (
    <section>
      <h4>
        Comments
        {comments.length > 0 && <span className="count">{comments.length}</span>}
      </h4>
      {comments.length === 0 && <p className="nothing">Nobody has said anything yet.</p>}
      <ol className="comments">
        {comments.map((comment) => (
          <li key={comment.id}>
            <Avatar person={comment.author} />
            <div>
              <strong>{comment.author.name}</strong>
              <time dateTime={comment.created_at}>{agoText(comment.created_at)}</time>
              <p>{comment.text}</p>
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
