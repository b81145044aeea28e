import type { Label, Task } from "../board";
import { Icon } from "./Icon";

export interface Filter {
  text: string;
  labels: ReadonlySet<number>;
  mine: boolean;
}

export const NO_FILTER: Filter = { text: "", labels: new Set(), mine: false };

/** Whether a task is to be shown: with all words, with one of the labels if any is chosen, and mine if I say so. */
export function passes(task: Task, filter: Filter, user: number): boolean {
  const text = `${task.title} ${task.description} ${task.assignee?.name ?? ""}`.toLowerCase();
  return (
    filter.text.toLowerCase().split(/\s+/).every((word) => text.includes(word)) &&
    (filter.labels.size === 0 || task.labels.some((label) => filter.labels.has(label.id))) &&
    (!filter.mine || task.assignee?.id === user)
  );
}

interface Props {
  labels: Label[];
  filter: Filter;
  onChange: (filter: Filter) => void;
}

export function Filters({ labels, filter, onChange }: Props) {
  const toggle = (id: number) => {
    const chosen = new Set(filter.labels);
    if (!chosen.delete(id)) chosen.add(id);
    onChange({ ...filter, labels: chosen });
  };
  return (
    <div className="filters" role="search">
      <label className="search">
        <Icon name="search" />
        <input
          type="search"
          placeholder="Search"
          aria-label="Search tasks"
          value={filter.text}
          onChange={(event) => onChange({ ...filter, text: event.target.value })}
        />
      </label>
      <button className="chip" aria-pressed={filter.mine} onClick={() => onChange({ ...filter, mine: !filter.mine })}>
        Mine
      </button>
      {labels.map((label) => (
        <button
          key={label.id}
          className="chip"
          data-color={label.color}
          aria-pressed={filter.labels.has(label.id)}
          onClick={() => toggle(label.id)}
        >
          {label.name}
        </button>
      ))}
    </div>
  );
}
