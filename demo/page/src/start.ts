/** What Django wrote into the page (demo/boards/views.py): who is looking, and at what. */

export interface Start {
  user: { id: number; name: string; staff: boolean };
  /** From the address, so anything; null if this user has no board. */
  board: string | null;
  boards: { id: number; name: string }[];
}

export function readStart(): Start {
  const element = document.getElementById("start");
  if (!element?.textContent) throw new Error('The page has no <script id="start">.');
  return JSON.parse(element.textContent) as Start;
}
