import type { Label } from "../board";

export function Tags({ labels }: { labels: Label[] }) {
  if (labels.length === 0) return null;
  return (
    <ul className="tags" aria-label="Labels">
      {labels.map((label) => (
        <li key={label.id} className="tag" data-color={label.color}>
          {label.name}
        </li>
      ))}
    </ul>
  );
}
