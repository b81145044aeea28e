import type { Person } from "../board";

const HUES = 8; // data-hue 0 to 7 in base.css

/** A person as initials; the ring says that he or she has this board open now. */
export function Avatar({ person, here = false }: { person: Pick<Person, "id" | "name">; here?: boolean }) {
  const title = here ? `${person.name}, here now` : person.name;
  return (
    <span className={here ? "avatar here" : "avatar"} data-hue={person.id % HUES} title={title} aria-label={title} role="img">
      {initials(person.name)}
    </span>
  );
}

function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => word?.charAt(0) ?? "");
  return letters.join("").toUpperCase() || "?";
}
