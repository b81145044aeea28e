import { daysUntil, dueText } from "../dates";
import { Icon } from "./Icon";

/** A due date; late and near ones stand out, unless the task is done. */
export function Due({ date, done }: { date: string; done: boolean }) {
  const days = daysUntil(date);
  const urgency = done ? "calm" : days < 0 ? "late" : days <= 1 ? "soon" : "calm";
  return (
    <time className={`fact due ${urgency}`} dateTime={date} title={urgency === "late" ? `Was due on ${date}` : `Due on ${date}`}>
      <Icon name="calendar" />
      {dueText(date)}
    </time>
  );
}
