import { useEffect, useRef, useState, type ReactNode } from "react";

import type { Board } from "../board";
import type { Start } from "../start";
import { Avatar } from "./Avatar";
import { Icon } from "./Icon";

interface Props {
  start: Start;
  board: Pick<Board, "name" | "purpose" | "members"> | null;
  present: ReadonlySet<number>;
  live: boolean;
  synced: boolean;
}

const SHOWN_MEMBERS = 7;

export function Header({ start, board, present, live, synced }: Props) {
  const members = board?.members ?? [];
  return (
    <header className="top">
      <div className="title">
        <BoardMenu start={start} name={board?.name ?? "…"} />
        {board?.purpose && <p>{board.purpose}</p>}
      </div>
      <div className="people" aria-label="Members">
        {members.slice(0, SHOWN_MEMBERS).map((person) => (
          <Avatar key={person.id} person={person} here={present.has(person.id)} />
        ))}
        {members.length > SHOWN_MEMBERS && <span className="avatar more">+{members.length - SHOWN_MEMBERS}</span>}
      </div>
      <Status live={live} synced={synced} />
      <AccountMenu start={start} />
    </header>
  );
}

function Status({ live, synced }: { live: boolean; synced: boolean }) {
  const [state, text, title] = live
    ? ["live", "Live", "What you see is what the database holds."]
    : synced
      ? ["lost", "Reconnecting", "The connection is lost; what you see may be old. It catches up by itself."]
      : ["waiting", "Connecting", "Waiting for the server."];
  return (
    <span className={`status ${state}`} role="status" title={title}>
      {text}
    </span>
  );
}

/** A menu that closes when one presses outside of it, or Escape. */
function Menu({ kind, label, shown, children }: { kind: string; label?: string | undefined; shown: ReactNode; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const element = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => element.current?.contains(event.target as Node) || setOpen(false);
    const escape = (event: KeyboardEvent) => event.key === "Escape" && setOpen(false);
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", escape);
    };
  }, [open]);
  return (
    <details className={`menu ${kind}`} ref={element} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary aria-label={label}>{shown}</summary>
      {children}
    </details>
  );
}

function BoardMenu({ start, name }: { start: Start; name: string }) {
  return (
    <Menu
      kind="boards"
      shown={
        <>
          <img src="/static/icon.svg" alt="" width="28" height="28" />
          <h1>{name}</h1>
          <Icon name="chevron" />
        </>
      }
    >
      <nav aria-label="Boards">
        {start.boards.map((board) => (
          <a key={board.id} href={`/boards/${board.id}/`} aria-current={String(board.id) === start.board ? "page" : undefined}>
            {board.name}
          </a>
        ))}
      </nav>
    </Menu>
  );
}

function AccountMenu({ start: { user } }: { start: Start }) {
  return (
    <Menu kind="account" label={`Signed in as ${user.name}`} shown={<Avatar person={user} />}>
      <nav aria-label="Account">
        <span className="who">{user.name}</span>
        {user.staff && (
          <a href="/admin/" target="_blank" rel="noreferrer">
            <Icon name="edit" /> Admin
          </a>
        )}
        <button form="sign-out">
          <Icon name="leave" /> Sign out
        </button>
      </nav>
    </Menu>
  );
}
