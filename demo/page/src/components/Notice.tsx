import type { ReactNode } from "react";

import type { Start } from "../start";
import type { Refusal } from "../useConnection";

/** A page that says what is the matter, and what to do about it. */
export function Notice({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="notice" role="alert">
      <a href="/" aria-hidden="true" tabIndex={-1}>
        <img src="/static/icon.svg" alt="" width="44" height="44" />
      </a>
      <h1>{title}</h1>
      {children}
    </main>
  );
}

/** What each close code means for the person in front of the page. */
export function RefusalNotice({ refusal, boards }: { refusal: Refusal; boards: Start["boards"] }) {
  switch (refusal.code) {
    case 4401:
      return (
        <Notice title="You are signed out">
          <p>Sign in again to see this board.</p>
          <a className="button" href={`/login/?next=${encodeURIComponent(window.location.pathname)}`}>
            Sign in
          </a>
        </Notice>
      );
    case 4403:
      return (
        <Notice title="This board is for its members">
          <p>You are not one of them. Somebody who is can ask for you to be added.</p>
          <Others boards={boards} />
        </Notice>
      );
    case 4404:
      return (
        <Notice title="There is no such board">
          <p>It was deleted, or the address has a mistake.</p>
          <Others boards={boards} />
        </Notice>
      );
    case 4409:
      return (
        <Notice title="This page has to start over">
          <p>The server begins a new history of this board. Nothing is lost.</p>
          <Reload />
        </Notice>
      );
    default:
      return (
        <Notice title="The server ended the connection">
          <p>
            It gave the code {refusal.code}
            {refusal.reason && ` and the reason “${refusal.reason}”`}.
          </p>
          <Reload />
        </Notice>
      );
  }
}

function Reload() {
  return (
    <button className="button" onClick={() => window.location.reload()}>
      Load the page again
    </button>
  );
}

export function Others({ boards }: { boards: Start["boards"] }) {
  if (boards.length === 0) return null;
  return (
    <>
      <p>Your boards:</p>
      <ul>
        {boards.map((board) => (
          <li key={board.id}>
            <a href={`/boards/${board.id}/`}>{board.name}</a>
          </li>
        ))}
      </ul>
    </>
  );
}
